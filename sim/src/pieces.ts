import { apply } from '@antirio/ledger-machine';
import {
  actsFrom,
  centralStep,
  customerDesires,
  customerStep,
  gapState,
  judgeDownlink,
  judgeLentDownlink,
  leads,
  mayGoUnwritten,
  mayRelease,
  neverTookOver,
  nextBlock,
  providerDesires,
  providerStep,
  sight,
  type Observed,
} from '@antirio/service-contract';
import type { CentralPieces } from './central-node.ts';
import type { EdgePieces } from './edge.ts';
import type { DrillPieces } from './drills.ts';
import { verifies } from './frames.ts';
import type { GapSource } from './gap-filler.ts';
import type { HolderPieces } from './holders.ts';
import type { LentPieces } from './lent-downlinks.ts';
import { bufferPieces, type BufferPieces } from './limited-ring.ts';
import { openRing } from './ring.ts';

/** What the world is made of and a mutant may replace; everything else is as it is. */
export interface Pieces
  extends CentralPieces, EdgePieces, HolderPieces, DrillPieces, LentPieces, BufferPieces {
  readonly gapSource: (source: GapSource) => GapSource;
  readonly apply: typeof apply;
  /** What the customer's arbitrator notices of its own edge. */
  readonly senses: (observed: Observed) => Observed;
}

/** The product's own machines, and honest models of the rooms around them. */
export const honestPieces = (): Pieces => ({
  centralStep,
  customerStep,
  customerDesires,
  gapState,
  providerDesires,
  providerStep,
  mayGoUnwritten,
  neverTookOver,
  judgeDownlink,
  actsFrom,
  judgeLentDownlink,
  fenceBeforeLending: true,
  leads,
  mayRelease,
  nextBlock,
  sight,
  verifies,
  openRing,
  ...bufferPieces,
  eventIdOf: ({ devEui, fcnt }, session) => `${devEui}/${session}/${fcnt}`,
  afterCrash: () => undefined,
  keepsBlocks: (write) => {
    write();
  },
  gapSource: (source) => source,
  drillShare: () => 'drill',
  apply,
  senses: (observed) => observed,
});
