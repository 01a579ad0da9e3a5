import type { SignedSnapshot } from '@antirio/service-contract';
import type { Waited } from './patience.ts';

/** Why something did not work, and how often in all. */
export interface VolumeTrouble {
  readonly reason: string;
  readonly at: number;
  readonly times: number;
}

/** A provider's: what it holds of one contract's volumes. */
export interface GuestVolumes {
  /** `guest/<contractId>` */
  readonly key: string;
  readonly contractId: string;
  readonly customer: string;
  /** The newest whole snapshot of the customer's, which is here as a file. */
  readonly held?: SignedSnapshot;
  readonly heldAt?: number;
  /** A newer one on its way. */
  readonly coming?: SignedSnapshot;
  /** Of the customer's snapshot that the folders were filled from; 0: they began empty. */
  readonly live?: number;
  readonly liveAt?: number;
  /** Since they were filled the service may have written: nothing of the customer's takes their place until that has gone home. */
  readonly inUse?: boolean;
  /** Why they began empty although there was a snapshot. */
  readonly unrestored?: VolumeTrouble;
  /** Snapshots that were not taken. */
  readonly refused?: VolumeTrouble;
  /** In which epoch the service was stopped, so that its volumes go home as they are. */
  readonly stoppedFor?: number;
  /** For them to be sealed and stored. */
  readonly sealing?: Waited;
  /** What goes home, or why nothing does, of the newest epoch that was asked for. */
  readonly home?: {
    readonly epoch: number;
    readonly snapshot?: SignedSnapshot;
    readonly none?: string;
    readonly at: number;
  };
  /** Objects of the content store that are to be let go. */
  readonly letGo: readonly string[];
  /** Since when the contract is over here. */
  readonly endedAt?: number;
}

export interface KeptFolder {
  readonly volume: string;
  readonly path: string;
  /** Content that is nowhere else: it stays until somebody takes it away. */
  readonly conflict: boolean;
}

/** A customer's: the volumes of its own service under one contract. */
export interface OwnVolumes {
  /** `own/<contractId>` */
  readonly key: string;
  readonly contractId: string;
  readonly provider: string;
  /** Of the newest snapshot that was begun. */
  readonly seq: number;
  readonly newest?: {
    readonly signed: SignedSnapshot;
    /** Hex. On this disk lies what it opens, too. */
    readonly contentKey: string;
    readonly stamp: string;
    readonly bytes: number;
  };
  /** When the volumes were last looked at and were as in the newest snapshot, or became it. */
  readonly lookedAt?: number;
  /** What the provider said last that it holds. */
  readonly held?: { readonly seq: number; readonly at: number };
  /** By snapshot, newest last, by volume. */
  readonly digests: readonly { readonly seq: number; readonly by: Readonly<Record<string, string>> }[];
  readonly failed?: VolumeTrouble;
  readonly refused?: VolumeTrouble;
  /** The own service was told to stop using the volumes. */
  readonly away?: boolean;
  /** For what the provider's service left; with the size that it signed for. */
  readonly waiting?: Waited & { readonly size?: number };
  /** A snapshot of the provider's that takes its place now: what is left to be done after a crash. */
  readonly placing?: {
    readonly epoch: number;
    readonly snapshot: SignedSnapshot;
    readonly rules: Readonly<Record<string, 'replace' | 'replaceKeepingOwn' | 'beside'>>;
  };
  readonly home?: {
    readonly epoch: number;
    readonly outcome: 'restored' | 'none' | 'refused';
    readonly reason?: string;
    readonly cid?: string;
    readonly size?: number;
    readonly at: number;
  };
  readonly kept: readonly KeptFolder[];
  readonly letGo: readonly string[];
  readonly since: number;
}

export type VolumeRecord = GuestVolumes | OwnVolumes;

export const guestKey = (contractId: string): string => `guest/${contractId}`;
export const ownKey = (contractId: string): string => `own/${contractId}`;

export function once(before: VolumeTrouble | undefined, reason: string, at: number): VolumeTrouble {
  return { reason, at, times: (before?.times ?? 0) + 1 };
}
