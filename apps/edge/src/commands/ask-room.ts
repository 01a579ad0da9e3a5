import { callJson, httpPeer, type HttpCall } from '@antirio/host';
import { urlOf, type EdgeConfig } from '../config.ts';
import { roomOf, type RoomKey } from '../rooms.ts';

/** What a room of this edge answers. @throws AntirioError as the room says, or unavailable where it does not. */
export async function askRoom(room: RoomKey, config: EdgeConfig, call: HttpCall): Promise<unknown> {
  const peer = httpPeer({ url: urlOf(roomOf(room), config) });
  try {
    return await callJson(peer, { timeoutMs: 15_000, ...call });
  } finally {
    peer.close();
  }
}

export const print = (text: string): void => void process.stdout.write(`${text}\n`);
