import type { DevAddr, FcntSet, MacState, SessionCipher, SessionId } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';
import type { Mark, Marks } from './marks.ts';
import { packMac, unpackMac } from './packed-mac.ts';
import type { Session } from './sessions.ts';

/** Sessions whose MAC states are at hand: the last ones that were asked for. The others' are packed, which costs some microseconds. */
export const STATES_AT_HAND = 256;

/** What all sessions of a book have in common. */
export interface Common {
  readonly marks: Marks;
  /** The state that a device begins with: others are packed as what they differ from it in. */
  readonly newMac: (device: DeviceOptions) => MacState;
  readonly atHand: OpenSession[];
  place: number;
}

export const commonOf = ({ marks, newMac }: Pick<Common, 'marks' | 'newMac'>): Common => ({
  marks,
  newMac,
  atHand: [],
  place: 0,
});

type Fixed = Pick<
  Session,
  'id' | 'device' | 'devAddr' | 'cipher' | 'seen' | 'floor' | 'digests' | 'standing'
>;

/** A session in as little as it needs while nothing is heard of its device. */
export class OpenSession implements Session {
  readonly id: SessionId;
  readonly device: DeviceOptions;
  readonly devAddr: DevAddr;
  readonly cipher: SessionCipher;
  seen: FcntSet;
  readonly floor?: number | undefined;
  readonly digests: Set<string> | undefined;
  underWay: Map<number, Mark> | undefined;
  standing: Session['standing'];
  macUnsaved = false;
  /** Of its device's sessions the one that is used, as far as is known. */
  inUse = false;
  readonly #common: Common;
  #mac: MacState | string | undefined;

  constructor(fixed: Fixed, common: Common) {
    this.id = fixed.id;
    this.device = fixed.device;
    this.devAddr = fixed.devAddr;
    this.cipher = fixed.cipher;
    this.seen = fixed.seen;
    this.floor = fixed.floor;
    this.digests = fixed.digests;
    this.underWay = undefined;
    this.standing = fixed.standing;
    this.#common = common;
    this.#mac = undefined;
  }

  get remembered(): Marks {
    return this.#common.marks;
  }

  get mac(): MacState | undefined {
    const known = this.#mac;
    if (typeof known === 'string') this.mac = unpackMac(known, this.#common.newMac(this.device));
    return this.#mac as MacState | undefined;
  }

  set mac(next: MacState | undefined) {
    const isAtHand = typeof this.#mac === 'object';
    this.#mac = next;
    if (!isAtHand && next !== undefined) this.#takePlace();
  }

  /** The one that has had its state at hand for the longest time gives its place up. */
  #takePlace(): void {
    const { atHand, place } = this.#common;
    const longest = atHand[place];
    if (longest !== undefined) longest.#pack();
    atHand[place] = this;
    this.#common.place = (place + 1) % STATES_AT_HAND;
  }

  #pack(): void {
    if (typeof this.#mac === 'object') this.#mac = packMac(this.#mac, this.#common.newMac(this.device));
  }
}
