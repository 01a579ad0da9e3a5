import type { ContractTerms } from './terms.ts';

type Named = Pick<ContractTerms, 'rootKeys' | 'confidentiality' | 'opening' | 'devAddrRange' | 'slots'>;

/** JoinNonces of slot 0 are those of the devices' own edge, in whatever set they are. */
const OWNERS_SLOT = 0;

/** Why terms with the devices' root keys cannot be; undefined where they can, or are without. */
export function rootKeysProblem({
  rootKeys,
  confidentiality,
  opening,
  devAddrRange,
  slots,
}: Named): string | undefined {
  if (rootKeys !== true) return undefined;
  if (confidentiality !== 'process') return 'rootKeys: only a provider that may process is given root keys';
  if (opening === 'autonomous')
    return 'rootKeys: an autonomous provider would have them with no opening to tell of it';
  if (devAddrRange === undefined) return 'rootKeys: without devAddrRange a join has no address to give';
  if (slots.customer !== OWNERS_SLOT) return 'rootKeys: the JoinNonces of slot 0 are the customer’s';
  return undefined;
}

/** What a provider has answered, as the limits count it. */
export interface AnsweredJoin {
  readonly epoch: number;
  readonly devEui: string;
}

/** Joins of one device that a provider answers under one epoch: their sessions come home before any of them is let go of. */
export const JOINS_OF_EACH = 64;
/** Of one contract: each is a record that comes home. */
export const JOINS_IN_ALL = 20_000;

/** Whether one more join of the device is not to be answered. */
export function areJoinsUsedUp(answered: readonly AnsweredJoin[], { epoch, devEui }: AnsweredJoin): boolean {
  if (answered.length >= JOINS_IN_ALL) return true;
  return answered.filter((one) => one.epoch === epoch && one.devEui === devEui).length >= JOINS_OF_EACH;
}
