import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { fromBase64, fromHex, isAntirioError } from '@antirio/kernel';
import {
  createSessionCipher,
  fcntCandidates,
  parseDataFrame,
  parseDevAddr,
  sessionFingerprint,
  type DataFrame,
  type SessionCipher,
} from '@antirio/lorawan';
import type { GenuineFrame } from '@antirio/service-contract';
import type { Secrets } from './sealed-keys.ts';

interface Session {
  readonly devEui: string;
  readonly devAddr: string;
  readonly session: string;
  readonly cipher: SessionCipher;
}

const PAGE = 500;

const offersAnswer = z.object({
  offers: z.array(
    z.object({ seq: z.int(), devAddr: z.string(), fcnt: z.int(), mic: z.string(), digest: z.string() }),
  ),
});
const framesAnswer = z.object({ frames: z.array(z.object({ seq: z.int(), phyPayload: z.string() })) });
const foundAnswer = z.object({ frames: z.array(z.object({ phyPayload: z.string() })) });

export type Offer = z.output<typeof offersAnswer>['offers'][number];

function sessionsOf(secrets: Secrets): Map<string, Session[]> {
  const byAddress = new Map<string, Session[]>();
  for (const { devEui, devAddr, nwkSKey } of secrets.sessions) {
    const address = parseDevAddr(devAddr);
    const key = fromHex(nwkSKey, 16);
    const session = sessionFingerprint(key, address);
    const entry = {
      devEui: devEui.toLowerCase(),
      devAddr: address,
      session,
      cipher: createSessionCipher({ nwkSKey: key }),
    };
    byAddress.set(address, [...(byAddress.get(address) ?? []), entry]);
  }
  return byAddress;
}

function parsed(phyPayload: Uint8Array): DataFrame | undefined {
  try {
    return parseDataFrame(phyPayload);
  } catch (error) {
    if (isAntirioError(error, 'invalidInput')) return undefined;
    throw error;
  }
}

/** The frames that the sessions' keys verify; whoever sent the others, no mote of the contract did. */
export function genuineFrames(payloads: readonly Uint8Array[], secrets: Secrets): GenuineFrame[] {
  const sessions = sessionsOf(secrets);
  const highest = new Map<string, number>();
  const found: GenuineFrame[] = [];
  for (const phyPayload of payloads) {
    const frame = parsed(phyPayload);
    if (frame?.direction !== 'up') continue;
    for (const one of sessions.get(frame.devAddr) ?? []) {
      const fcnt = fcntCandidates(frame.fcnt16, highest.get(one.devEui)).find((n) =>
        one.cipher.verifies(frame, n),
      );
      if (fcnt === undefined) continue;
      highest.set(one.devEui, Math.max(fcnt, highest.get(one.devEui) ?? 0));
      found.push({ devEui: one.devEui, devAddr: one.devAddr, session: one.session, fcnt, phyPayload });
      break;
    }
  }
  return found;
}

async function pages<T extends { readonly seq: number }>(
  from: number,
  through: number,
  page: (after: number) => Promise<readonly T[]>,
): Promise<T[]> {
  const all: T[] = [];
  let after = from - 1;
  while (after < through) {
    const got = await page(after);
    const last = got.at(-1);
    if (last === undefined) break;
    all.push(...got.filter((one) => one.seq <= through));
    after = last.seq;
  }
  return all;
}

/** Raw frames of our own ring. */
export async function ringFrames(
  bridge: HttpPeer,
  ringId: string,
  from: number,
  through: number,
): Promise<Uint8Array[]> {
  const frames = await pages(from, through, async (after) => {
    const path = `/api/v3/ring/${ringId}/frames?after=${after}&limit=${PAGE}`;
    return parseInput(framesAnswer, await callJson(bridge, { path })).frames;
  });
  return frames.map((frame) => fromBase64(frame.phyPayload));
}

/** What the provider's ring holds, by name, and our own copies of it. Frames that we lack are simply not there. */
export async function ownCopies(
  fetchOffers: (path: string) => Promise<unknown>,
  bridge: HttpPeer,
  ringId: string,
  from: number,
  through: number,
): Promise<Uint8Array[]> {
  const offers = await pages<Offer>(
    from,
    through,
    async (after) =>
      parseInput(
        offersAnswer,
        await fetchOffers(`/api/v3/ring/${ringId}/offers?after=${after}&limit=${PAGE}`),
      ).offers,
  );
  const copies: Uint8Array[] = [];
  for (let start = 0; start < offers.length; start += PAGE) {
    const json = {
      frames: offers
        .slice(start, start + PAGE)
        .map(({ devAddr, fcnt, mic, digest }) => ({ devAddr, fcnt, mic, digest })),
    };
    const found = parseInput(
      foundAnswer,
      await callJson(bridge, { method: 'POST', path: '/api/v3/ring/own/find', json }),
    );
    copies.push(...found.frames.map((frame) => fromBase64(frame.phyPayload)));
  }
  return copies;
}
