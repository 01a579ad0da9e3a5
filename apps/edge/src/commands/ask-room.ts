import { callJson, silentLog, type HttpCall } from '@antirio/host';
import { peerOf } from '../access.ts';
import type { EdgeConfig } from '../config.ts';
import { roomOf, type RoomKey } from '../rooms.ts';

/** What a room of this edge answers. @throws AntirioError as the room says, or unavailable where it does not. */
export async function askRoom(room: RoomKey, config: EdgeConfig, call: HttpCall): Promise<unknown> {
  const peer = peerOf(roomOf(room), config, silentLog);
  try {
    return await callJson(peer, { timeoutMs: 15_000, ...call });
  } finally {
    peer.close();
  }
}

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
