import { setTimeout as sleep } from 'node:timers/promises';
import type { ContractedRun } from '@antirio/demo/scenes';
import { get } from './ask.ts';

/** How long uplinks were readable nowhere, by asking both edges again and again. */
export interface Unread {
  /** Stops asking. The longest time from air to the first reading at either edge, ms, of uplinks on air between two times. */
  longest(from: number, until: number): { readonly uplinks: number; readonly longestMs: number };
  stop(): Promise<void>;
}

const POLL_MS = 25;
const NEWEST = 40;

interface Page {
  readonly events: readonly { readonly tags?: Readonly<Record<string, unknown>> }[];
}

/** Begins to ask. */
export function watchUnread({ nodes, truth, waiter }: ContractedRun): Unread {
  const seen = new Map<string, { readonly devEui: string; readonly fCnt: number; readonly at: number }>();
  let going = true;
  const look = async (url: string): Promise<void> => {
    while (going) {
      try {
        const page = (await get(`${url}/api/v3/event/all?offset=-1&limit=${NEWEST}`)) as Page;
        const at = waiter.now();
        for (const { tags } of page.events) {
          if (typeof tags?.['devEUI'] !== 'string') continue;
          const [devEui, fCnt] = [tags['devEUI'], Number(tags['fCnt'])];
          const key = `${devEui}/${fCnt}`;
          if (!seen.has(key)) seen.set(key, { devEui, fCnt, at });
        }
      } catch {
        // an edge that is down answers nothing
      }
      await sleep(POLL_MS);
    }
  };
  const looking = [nodes.a, nodes.b].map((node) => look(node.url('coreData')));
  return {
    longest(from, until) {
      truth.update();
      const waits = [...seen.values()].flatMap(({ devEui, fCnt, at }) => {
        const airAt = truth.airAt(devEui, fCnt);
        return airAt === undefined || airAt < from || airAt > until ? [] : [at - airAt];
      });
      return { uplinks: waits.length, longestMs: Math.round(Math.max(0, ...waits)) };
    },
    async stop() {
      going = false;
      await Promise.all(looking);
    },
  };
}
