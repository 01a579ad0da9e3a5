import { openRing, type Ring, type RingPorts, type RingSettings } from './ring.ts';

const BACKFILL_PAGE = 200;

const settingsOf = (budgetBytes: number): RingSettings => ({
  devAddrs: [],
  devEuis: [],
  budgetBytes,
  prefix: '',
  deliver: false,
  retainS: 3600,
});

/** The ring of frames that match no other, so that a new ring begins with its motes' past. */
export interface Neighbourhood {
  readonly ring: Ring;
  /** Itself alone. */
  readonly rings: readonly Ring[];
  /** Takes into a new ring what was heard of its motes before anybody asked for it; false where that cannot be read now. */
  fill(into: Ring): Promise<boolean>;
  /** Lets go of what is old; opens it again where it could not be written. */
  tidy(): Promise<void>;
}

export function openNeighbourhood(
  ports: Pick<RingPorts, 'id' | 'folder' | 'segmentBytes' | 'clock'> & {
    readonly budgetBytes: number;
    readonly rate: () => RingPorts['rate'];
  },
): Neighbourhood {
  const open = (): Ring =>
    openRing(
      { ...ports, incarnation: ports.id, rate: ports.rate(), shared: true },
      settingsOf(ports.budgetBytes),
    );
  let ring = open();
  let rings: readonly Ring[] = [ring];

  const backfill = async (into: Ring): Promise<void> => {
    const wanted = new Set(into.settings.devAddrs.map((devAddr) => Number.parseInt(devAddr, 16)));
    const isWanted = (phyPayload: Uint8Array): boolean =>
      phyPayload.length >= 5 &&
      wanted.has(new DataView(phyPayload.buffer, phyPayload.byteOffset).getUint32(1, true));
    let after = 0;
    for (;;) {
      const page = await ring.frames(after, BACKFILL_PAGE);
      const last = page.at(-1);
      if (last === undefined) return;
      const wantedFrames = page.filter((frame) => isWanted(frame.phyPayload));
      const taken = wantedFrames.map((frame) => into.take(frame, false));
      await Promise.all(taken.flatMap((one) => (one.kind === 'dropped' ? [] : [one.durable])));
      after = last.seq;
    }
  };
  return {
    get ring() {
      return ring;
    },
    get rings() {
      return rings;
    },
    async fill(into) {
      await ring.settled().catch(() => undefined);
      // taken when it is open again
      if (ring.failed) return false;
      await backfill(into);
      return true;
    },
    async tidy() {
      if (ring.failed) {
        await ring.close().catch(() => undefined);
        ring = open();
        rings = [ring];
      }
      ring.tidy();
    },
  };
}
