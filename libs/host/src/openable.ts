import type { Health, Service } from './service.ts';

/** A room between its start and its stop. */
export interface OpenRoom {
  readonly port: number;
  health(): Health | Promise<Health>;
  stop(): Promise<void>;
}

/** A service whose files and sockets are open only while it runs. */
export interface PortService extends Service {
  /** The port in use; before the start the one that was asked for. */
  readonly port: number;
}

/** Opens a room's parts at the start, and lets go of all of them at the stop; it can be started again. */
export function openableService(name: string, port: number, open: () => Promise<OpenRoom>): PortService {
  let room: OpenRoom | undefined;
  return {
    name,
    get port() {
      return room?.port ?? port;
    },
    async start() {
      room ??= await open();
    },
    async stop() {
      const closing = room;
      room = undefined;
      await closing?.stop();
    },
    health: () => room?.health() ?? { [name]: { ok: false, detail: 'not started' } },
  };
}
