import { judgeDownlink } from '@antirio/service-contract';
import { honestPieces, type Pieces } from './pieces.ts';
import { emptyRing, openRing } from './ring.ts';

/** A world in which one safety check is missing: the simulation must notice. */
export interface Mutant {
  readonly name: string;
  /** Fresh pieces for each run, for mutants that keep a state. */
  pieces(): Pieces;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'no fence: every downlink leaves, whatever epoch, lease or block',
    pieces: () => ({
      ...honestPieces(),
      judgeDownlink(fence, frame, now) {
        const verdict = judgeDownlink(fence, frame, now);
        return verdict.allowed ? verdict : { allowed: true, fcnt: frame.fcnt16 };
      },
    }),
  },
  {
    name: 'no dedupe: the same reading gets another id each time',
    pieces: () => {
      let count = 0;
      return { ...honestPieces(), eventIdOf: ({ devEui, fcnt }) => `${devEui}/${fcnt}/${count++}` };
    },
  },
  {
    name: 'no MIC: whatever names the DevAddr is a reading',
    pieces: () => ({ ...honestPieces(), verifies: () => true }),
  },
  {
    name: 'buffer dropped: a killed edge forgets its ring',
    pieces: () => ({
      ...honestPieces(),
      afterCrash(disk) {
        disk.ring = emptyRing();
      },
    }),
  },
  {
    name: 'no gap filling: what only the neighbour heard stays with it',
    pieces: () => ({
      ...honestPieces(),
      gapSource: (source) => ({
        ...source,
        offers: (_after, done) => {
          done({ ok: true, value: { offers: [], last: 0 } });
        },
      }),
    }),
  },
  {
    name: 'acknowledged before fsync: the gateway is told too early',
    pieces: () => ({
      ...honestPieces(),
      openRing(host, disk, onStored) {
        const ring = openRing(host, disk, onStored);
        return {
          ...ring,
          get last() {
            return ring.last;
          },
          take(frame, radio, now, durable) {
            ring.take(frame, radio, now, () => undefined);
            durable();
          },
        };
      },
    }),
  },
];
