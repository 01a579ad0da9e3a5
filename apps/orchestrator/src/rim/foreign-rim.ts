import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { HttpPeer, Log } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createBusSide } from './bus-side.ts';
import { createHttpSide } from './http-side.ts';
import { createNamespace } from './names.ts';

export interface ForeignRimOptions {
  readonly contractId: string;
  readonly runDir: string;
  /** The broker's socket for contracts. */
  readonly brokerSocket: string;
  readonly baseAddress: string;
  readonly coreData: HttpPeer;
  readonly coreMetadata: HttpPeer;
  readonly log: Log;
  readonly onCall: (outcome: 'passed' | 'refused' | 'failed') => void;
}

/** The sockets in a foreign service's run folder that lead to this edge. */
export interface ForeignRim {
  /** Ends the service's connections to the bus: a frozen service must not keep the broker waiting. */
  cutBus(): void;
  close(): Promise<void>;
}

export const BUS_SOCKET = 'bus.sock';
export const HTTP_SOCKET = 'http.sock';
export const SERVICE_SOCKET = 'svc.sock';

function listen(server: Server, path: string): Promise<void> {
  rmSync(path, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new AntirioError('unavailable', `cannot listen on ${path}`, { path }, cause)),
    );
    server.listen(path, () => {
      // The folder keeps others out; a container's user is not ours
      chmodSync(path, 0o666);
      resolve();
    });
  });
}

function closed(server: Server): Promise<void> {
  // A server that does not listen calls back with an error, which is as good
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** @throws AntirioError unavailable when the sockets cannot be made. */
export async function openForeignRim(options: ForeignRimOptions): Promise<ForeignRim> {
  const { runDir, log } = options;
  const http = createHttpSide({ ...options, namespace: createNamespace(options.contractId) });
  const bus = createBusSide(options.brokerSocket, log);
  const close = async (): Promise<void> => {
    bus.cut();
    http.closeAllConnections();
    await Promise.all([closed(http), closed(bus.server)]);
  };
  try {
    await listen(http, join(runDir, HTTP_SOCKET));
    await listen(bus.server, join(runDir, BUS_SOCKET));
  } catch (error) {
    await close();
    throw error;
  }
  return { cutBus: () => bus.cut(), close };
}
