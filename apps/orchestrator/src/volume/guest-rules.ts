import { isAntirioError } from '@antirio/kernel';
import type { SignedSnapshot } from '@antirio/service-contract';
import type { GuestVolumes } from './volume-records.ts';

/** Errors that no further attempt mends. */
export const isFinal = (error: unknown): boolean =>
  (['corrupt', 'tooLarge', 'invalidInput'] as const).some((code) => isAntirioError(error, code));

/** The customer's snapshot, in the contract's folder. */
export const fileOf = ({ body }: SignedSnapshot): string => `held-${body.seq}`;
export const cidsOf = (snapshot: SignedSnapshot | undefined): string[] =>
  snapshot === undefined ? [] : [snapshot.body.cid];

const isSame = (a: SignedSnapshot | undefined, b: SignedSnapshot): boolean => a?.body.cid === b.body.cid;

export function withOffer(known: GuestVolumes, snapshot: SignedSnapshot): GuestVolumes {
  // The same bytes, sealed for newer versions of the keys
  if (isSame(known.held, snapshot)) return { ...known, held: snapshot };
  const letGo = isSame(known.coming, snapshot) ? known.letGo : [...known.letGo, ...cidsOf(known.coming)];
  return { ...known, coming: snapshot, letGo };
}

/** It is here as a file; what goes home from before it was taken is needed no more, for the customer went on from there. */
export function withWhole(known: GuestVolumes, came: SignedSnapshot, heldAt: number): GuestVolumes {
  const { coming, home, refused: _better, ...others } = known;
  const isOver = home !== undefined && came.body.takenAt > home.at;
  const rest = isOver || home === undefined ? others : { ...others, home };
  const letGo = [...rest.letGo, came.body.cid, ...(isOver ? cidsOf(home.snapshot) : [])];
  if (coming === undefined || isSame(coming, came)) return { ...rest, held: coming ?? came, heldAt, letGo };
  return { ...rest, coming, held: came, heldAt, letGo };
}
