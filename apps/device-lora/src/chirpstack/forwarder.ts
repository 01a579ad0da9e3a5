import { repeat, type Log } from '@antirio/host';
import type { Poster } from '../north/poster.ts';
import type { UplinkStore } from '../store.ts';
import type { ChirpStackStore, Waiting } from './store.ts';

export interface ForwarderPorts {
  readonly store: ChirpStackStore;
  readonly poster: Poster;
  /** Keeps what core-data refuses, and has it tried again. */
  readonly parking: Pick<UplinkStore, 'commit'>;
  readonly log: Log;
}

/** Brings to core-data what waits on the disk, as often as it takes. */
export interface Forwarder {
  poke(): void;
  readonly parked: number;
  close(): Promise<void>;
}

const PAGE = 64;
const EVERY_MS = 5000;

const NOTHING_ELSE = {
  ...{ ring: 'chirpstack', cursor: undefined, remembered: [], digests: [], conflicts: [] },
  ...{ seen: new Map(), cleared: new Set<never>(), mac: new Map() },
};

export function createForwarder({ store, poster, parking, log }: ForwarderPorts): Forwarder {
  let parked = 0;
  const send = async ({ place, eventId: id, path, body }: Waiting): Promise<void> => {
    const posted = await poster.post({ path, body }, true);
    if (posted.kind === 'stopped') return;
    if (posted.kind === 'refused') {
      parking.commit({
        ...NOTHING_ELSE,
        counts: { parked: 1 },
        parked: [{ id, path, body, reason: posted.why }],
      });
      parked += 1;
    }
    await store.done(place);
  };
  const forward = async (): Promise<void> => {
    let after = 0;
    for (;;) {
      const page = store.waiting(after, PAGE);
      after = page.at(-1)?.place ?? after;
      await Promise.all(page.map(send));
      if (page.length < PAGE) return;
    }
  };
  const work = repeat('bringing what ChirpStack told to core-data', EVERY_MS, log, forward);
  return {
    poke: () => work.poke(),
    get parked() {
      return parked;
    },
    async close() {
      poster.cancel();
      await work.stop();
    },
  };
}
