import { callJson, type HttpPeer } from '@antirio/host';
import { isAntirioError, type Clock } from '@antirio/kernel';
import { contractCredential, type ContractTerms, type ProviderPhase } from '@antirio/service-contract';
import { z } from 'zod';
import type { Secrets } from './sealed-keys.ts';

/** Has this edge's core-data forward what a contract's service stores, for as long as it serves. */
export interface NorthForwarding {
  /** Brings it to what the phase wants: idempotent, and cheap where nothing changes. */
  settle(phase: ProviderPhase, keys: Secrets | undefined): Promise<void>;
}

const AGAIN_MS = 2000;
const status = z.looseObject({ state: z.string() });
/** Of these nothing is left to be sent, or nothing can be. */
const OVER: ReadonlySet<string> = new Set(['ended', 'revoked', 'needsLogin']);

/** `none`: nothing of it is here. `hold`: what arrives is to be sent, once it is known under which epoch. */
type Wanted = 'none' | 'hold' | 'send' | 'drain';

const WANTED: Readonly<Record<ProviderPhase['at'], Wanted>> = {
  preparing: 'none',
  ready: 'none',
  opening: 'hold',
  reading: 'hold',
  active: 'send',
  releasing: 'send',
  released: 'drain',
  stating: 'drain',
  stated: 'drain',
  ended: 'drain',
};

function epochOf(phase: ProviderPhase): number | undefined {
  if ('epoch' in phase) return phase.epoch;
  return 'statement' in phase ? phase.statement.epoch : undefined;
}

/** `coreData` undefined: this edge stores nothing, and forwards nothing. */
export function createNorthForwarding(
  { contractId, forwarding }: Pick<ContractTerms, 'contractId' | 'forwarding'>,
  coreData: HttpPeer | undefined,
  clock: Pick<Clock, 'monotonic'>,
): NorthForwarding {
  const path = `/api/v3/forwarding/${contractId}`;
  let settled = '';
  let settledAt = -Infinity;

  const put = async (peer: HttpPeer, login: object): Promise<void> => {
    // names of a contract's devices begin with its id here, and not at home
    const names = { devicePrefix: `${contractId}.`, stripPrefix: true };
    const rule = { ...forwarding, ...names, needsLogin: true };
    await callJson(peer, { method: 'PUT', path, json: { rule, ...login } });
  };
  const unlessGone = async (work: Promise<unknown>): Promise<unknown> => {
    try {
      return await work;
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  };
  const remove = (peer: HttpPeer): Promise<unknown> => unlessGone(callJson(peer, { method: 'DELETE', path }));
  const drain = async (peer: HttpPeer, login: object | undefined): Promise<void> => {
    const found = await unlessGone(callJson(peer, { method: 'POST', path: `${path}/end` }));
    const { state } = status.parse(found ?? { state: '' });
    if (state === 'needsLogin' && login !== undefined) await put(peer, { login });
    else if (OVER.has(state)) await remove(peer);
  };
  const bring = async (peer: HttpPeer, phase: ProviderPhase, keys: Secrets | undefined): Promise<void> => {
    const wanted = WANTED[phase.at];
    const epoch = epochOf(phase);
    const key = keys?.forwarding?.key;
    const isKnown = epoch !== undefined && key !== undefined;
    const login = isKnown ? contractCredential(key, contractId, epoch) : undefined;
    if (wanted === 'none') await remove(peer);
    else if (wanted === 'drain') await drain(peer, login);
    else await put(peer, wanted === 'send' && login !== undefined ? { login } : {});
  };
  return {
    async settle(phase, keys) {
      if (forwarding === undefined || coreData === undefined) return;
      const now = clock.monotonic();
      const wanted = `${WANTED[phase.at]} ${epochOf(phase) ?? ''} ${keys?.forwarding?.key ?? ''}`;
      const isSettled = wanted === settled && now - settledAt < AGAIN_MS;
      if (isSettled) return;
      await bring(coreData, phase, keys);
      [settled, settledAt] = [wanted, now];
    },
  };
}
