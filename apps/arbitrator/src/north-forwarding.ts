import { callJson, type HttpPeer } from '@antirio/host';
import { isAntirioError, type Clock } from '@antirio/kernel';
import { contractCredential, type ContractTerms, type ProviderPhase } from '@antirio/service-contract';
import { z } from 'zod';
import type { Secrets } from './sealed-keys.ts';

/** Has this edge's core-data forward what a contract's service stores, for as long as it serves. */
export interface NorthForwarding {
  /** Brings it to what the phase wants: idempotent, and cheap where nothing changes. */
  settle(phase: ProviderPhase, keys: Secrets | undefined): Promise<void>;
  /** Nothing of it stays: once nothing more is done for the contract. */
  end(): Promise<void>;
}

/** A rule that was removed before everything had been sent. */
export interface CutForwarding {
  /** Readings that waited, of all devices: at most so many of the contract's. */
  readonly behind: number;
  readonly state: string;
  readonly lastError: string | undefined;
}

const AGAIN_MS = 2000;
const status = z.looseObject({
  state: z.string(),
  behind: z.int().default(0),
  lastError: z.string().optional(),
});

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

export interface NorthForwardingPorts {
  /** Undefined: this edge stores nothing, and forwards nothing. */
  readonly coreData: HttpPeer | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Called when something was left. */
  readonly onCut: (cut: CutForwarding) => void;
}

export function createNorthForwarding(
  { contractId, forwarding }: Pick<ContractTerms, 'contractId' | 'forwarding'>,
  { coreData, clock, onCut }: NorthForwardingPorts,
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
  const remove = async (peer: HttpPeer): Promise<void> => {
    const found = await unlessGone(callJson(peer, { path }));
    if (found === undefined) return;
    const { state, behind, lastError } = status.parse(found);
    await unlessGone(callJson(peer, { method: 'DELETE', path }));
    if (state !== 'ended' && behind > 0) onCut({ behind, state, lastError });
  };
  // What is left waits for its login or for the cloud as long as anything is done for the contract: it is seen meanwhile.
  const drain = async (peer: HttpPeer, login: object | undefined): Promise<void> => {
    const found = await unlessGone(callJson(peer, { method: 'POST', path: `${path}/end` }));
    const { state } = status.parse(found ?? { state: '' });
    if (state === 'needsLogin' && login !== undefined) await put(peer, { login });
    else if (state === 'ended') await remove(peer);
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
    async end() {
      if (forwarding !== undefined && coreData !== undefined) await remove(coreData);
    },
  };
}
