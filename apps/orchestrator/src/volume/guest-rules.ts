import { isAntirioError, verifyDocument } from '@antirio/kernel';
import { offerProblem, VOLUME_SNAPSHOT_KIND, type SignedSnapshot } from '@antirio/service-contract';
import type { GuestVolumes } from './volume-records.ts';

/** Errors that no further attempt mends. */
export const isFinal = (error: unknown): boolean =>
  (['corrupt', 'tooLarge', 'invalidInput'] as const).some((code) => isAntirioError(error, code));

/** The customer's snapshot, in the contract's folder. */
export const fileOf = ({ body }: SignedSnapshot): string => `held-${body.seq}`;
export const cidsOf = (snapshot: SignedSnapshot | undefined): string[] =>
  snapshot === undefined ? [] : [snapshot.body.cid];

const isSame = (a: SignedSnapshot | undefined, b: SignedSnapshot): boolean => a?.body.cid === b.body.cid;

const LET_GO_AT_MOST = 8;
/** One that would have another one let go, while many are waiting for that. */
function isTooMany({ letGo, coming }: GuestVolumes, snapshot: SignedSnapshot): boolean {
  return letGo.length >= LET_GO_AT_MOST && coming !== undefined && !isSame(coming, snapshot);
}

/** Why a snapshot that somebody announces is not taken. */
export function refusalOf(
  known: GuestVolumes,
  snapshot: SignedSnapshot,
  here: { readonly customer: string; readonly maxBytes: number; readonly serves: boolean },
): string | undefined {
  const isTheirs = snapshot.by === here.customer && snapshot.body.direction === 'guard';
  if (!isTheirs || !verifyDocument(snapshot, VOLUME_SNAPSHOT_KIND)) return 'unauthenticated';
  const newest = (known.coming ?? known.held)?.body.seq ?? 0;
  const serves = here.serves || known.inUse === true;
  const problem = offerProblem(snapshot.body, { newest, maxBytes: here.maxBytes, serves });
  return problem ?? (isTooMany(known, snapshot) ? 'busy' : undefined);
}

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
