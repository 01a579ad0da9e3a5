import { AntirioError } from '@antirio/kernel';
import type { SessionId } from '@antirio/lorawan';
import { GAP_LIMIT } from '@antirio/service-contract';
import type { DeviceOptions } from '../options.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import type { DownlinkStore } from './store.ts';

/** What an edge encrypts with its AppSKey for the one that serves its devices without. */
export interface EncryptFor {
  readonly session: SessionId;
  readonly fCntDown: number;
  readonly payload: Uint8Array;
}

/**
 * Encrypts a payload for a counter that another edge named. That edge sees what comes of it, so no counter is taken twice, nor one that
 * this edge may have used itself: each is durably used, and higher than all before.
 */
export type Holder = (device: DeviceOptions, what: EncryptFor) => Uint8Array;

export interface HolderPorts {
  readonly store: Pick<DownlinkStore, 'highestUsed' | 'use'>;
  readonly sessions: () => SessionBook | undefined;
}

/** @throws AntirioError from what is returned: unavailable, forbidden, conflict */
export function createHolder({ store, sessions }: HolderPorts): Holder {
  return ({ devEui, name }, { session: id, fCntDown, payload }) => {
    const session = sessions()
      ?.sessionsOf(devEui)
      .find((one) => one.id === id && one.standing !== 'former');
    if (session === undefined)
      throw new AntirioError('unavailable', `no keys of session ${id} of ${name} here`);
    const { devAddr, cipher } = session;
    if (!cipher.readsPayload) throw new AntirioError('forbidden', `the AppSKey of ${name} is not here`);
    const highest = store.highestUsed(devAddr) ?? -1;
    const details = { fCntDown, highest };
    if (fCntDown <= highest)
      throw new AntirioError('conflict', `counter ${fCntDown} of ${name} may be used already`, details);
    // our own next one is above it
    if (fCntDown - highest > GAP_LIMIT)
      throw new AntirioError(
        'conflict',
        `counter ${fCntDown} of ${name} is over ${GAP_LIMIT} above those known here: the device might go deaf to this edge`,
        details,
      );
    store.use(devAddr, fCntDown);
    return cipher.encryptDown(devAddr, fCntDown, payload);
  };
}
