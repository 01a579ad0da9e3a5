export { readConfig, type ConfigFlags, type EdgeConfig } from './config.ts';
export { createEdgeHost, type EdgeHost } from './edge-host.ts';
export { roomNamed, roomsOf, type RunnableRoom } from './loaders.ts';
export type { Room, RoomKey } from './rooms.ts';
