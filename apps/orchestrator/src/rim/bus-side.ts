import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Log } from '@antirio/host';

export interface BusSide {
  readonly server: Server;
  /** Ends every connection under way; new ones are taken. */
  cut(): void;
}

const MAX_CONNECTIONS = 8;

/** Bytes to the broker's door for contracts and back. The broker checks who it is; here it is only the way. */
export function createBusSide(brokerSocket: string, log: Log): BusSide {
  const open = new Set<Socket>();
  const server = createServer((service) => {
    const broker = connect(brokerSocket);
    open.add(service);
    const end = (): void => {
      open.delete(service);
      service.destroy();
      broker.destroy();
    };
    broker.on('error', (error) =>
      log.debug({ error: error.message }, 'the broker does not take a foreign service'),
    );
    for (const side of [service, broker]) {
      side.on('error', end);
      side.on('close', end);
    }
    service.pipe(broker).pipe(service);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return {
    server,
    cut() {
      for (const service of open) service.destroy();
    },
  };
}
