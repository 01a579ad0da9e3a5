import { callJson, type HttpPeer } from '@antirio/host';
import { isAntirioError, type Clock } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';

type Guest = Pick<ContractTerms, 'contractId' | 'set'>;

/** What a contract's service stores in this edge's core-data without LoRaWAN comes home as events, after the end: until then it is held. */
export interface GuestHold {
  /** While the contract lives: idempotent, and cheap. */
  settle(): Promise<void>;
}

export interface GuestHoldPorts {
  /** Without `coreData` this edge stores nothing. */
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Where core-data has lost its disk it is told again. */
const AGAIN_MS = 600_000;
const pathOf = ({ contractId }: Guest): string => `/api/v3/hold/${contractId}`;
/** What sensors on the radio say comes home as frames. */
const isFedByRadio = ({ set }: Guest): boolean => set.devices.length > 0;

export function createGuestHold(guest: Guest, { peers: { coreData }, clock }: GuestHoldPorts): GuestHold {
  let nextAt = -Infinity;
  return {
    async settle() {
      const now = clock.monotonic();
      if (coreData === undefined || isFedByRadio(guest) || now < nextAt) return;
      // so devices are called here
      const json = { devicePrefix: `${guest.contractId}.` };
      await callJson(coreData, { method: 'PUT', path: pathOf(guest), json });
      nextAt = now + AGAIN_MS;
    },
  };
}

/** The contract is over: what nobody has fetched in so many seconds is given up. */
export async function endGuestHold(
  guest: Guest,
  { coreData }: GuestHoldPorts['peers'],
  forS: number,
): Promise<void> {
  if (coreData === undefined || isFedByRadio(guest)) return;
  try {
    await callJson(coreData, { method: 'POST', path: `${pathOf(guest)}/end`, json: { forS } });
  } catch (error) {
    // it has come home
    if (!isAntirioError(error, 'notFound')) throw error;
  }
}
