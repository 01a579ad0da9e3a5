import { describeError } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { VITAL_ROOMS, vitalRoomsOf, type ContractTerms, type Observed } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { PartyRooms } from './party-rooms.ts';

interface SightPorts {
  readonly terms: ContractTerms;
  readonly rooms: Pick<PartyRooms, 'senses' | 'fillFrom'>;
  readonly store: Pick<ContractStore, 'writes'>;
  readonly log: Log;
}

/** What a customer sees of its own edge, whatever of it does not answer. */
export function createCustomerSight({ terms, rooms, store, log }: SightPorts) {
  const vital = vitalRoomsOf(terms);
  let pulledThrough = 0;
  let wrong: string | undefined;

  /** The same every time: it is told when it changes. */
  const tell = (now: string | undefined): void => {
    if (now === wrong) return;
    wrong = now;
    if (now === undefined) log.info({}, 'the own ring is filled again');
    else log.warn({ error: now }, 'the own ring is not filled now');
  };

  /** A bridge that does not answer fills nothing. */
  const filled = async (): Promise<Observed['source']> => {
    try {
      const source = await rooms.fillFrom(terms);
      pulledThrough = source.pulledThrough;
      tell(undefined);
      return source;
    } catch (error) {
      tell(describeError(error));
      return { pulledThrough, caughtUp: false };
    }
  };
  return async (isTurn: boolean): Promise<Observed> => {
    const { rooms: all = {}, ...senses } = await rooms.senses();
    const states = Object.fromEntries(
      VITAL_ROOMS.flatMap((room) => (vital.includes(room) && room in all ? [[room, all[room]]] : [])),
    );
    const source = isTurn ? await filled() : undefined;
    const storeOk = store.writes.ok() && senses.storeOk !== false;
    return { ...senses, rooms: states, storeOk, ...(source === undefined ? {} : { source }) };
  };
}
