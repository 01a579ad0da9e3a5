import type { Mutation } from '@antirio/bundle';
import type { Sabotage } from './options.ts';

const FENCE = 'libs/domain/service-contract/src/fence.ts';
const GAP_FILLER = 'apps/gateway-bridge/src/ring/gap-filler.ts';
const EVENT = 'apps/device-lora/src/north/event.ts';
const SESSIONS = 'apps/device-lora/src/uplink/sessions.ts';

/**
 * What each sabotage takes out of the product's sources while they are bundled. A piece that is not found exactly once ends
 * the demo: a sabotage that does nothing would prove nothing.
 */
export const SABOTAGE: Readonly<Record<Sabotage, readonly Mutation[]>> = {
  /** A frame is a new reading as often as it is heard. */
  dedupe: [
    {
      file: SESSIONS,
      find: "if (known === undefined) return isSeen ? 'replay' : 'new';",
      replace: "if (known === undefined || fcnt >= 0) return 'new';",
    },
    {
      file: EVENT,
      find: '{ devEui: device.devEui, session: session.id, fcnt }',
      replace:
        '{ devEui: device.devEui, session: session.id, fcnt: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0 }',
    },
  ],
  /** Whoever uses a DevAddr is believed. */
  mic: [
    {
      file: SESSIONS,
      find: 'session.cipher.verifies(frame, fcnt)',
      replace: 'fcnt >= 0',
    },
  ],
  /** What the neighbour heard and we did not is passed over. */
  gapfill: [
    {
      file: GAP_FILLER,
      find: 'page.offers.filter((offer) => ours.has(offer.devAddr) && !ring.holds(offer))',
      replace: 'page.offers.filter((offer) => ours.has(offer.devAddr) && !ring.holds(offer)).slice(0, 0)',
    },
  ],
  /** Downlinks pass without lease, in every epoch. */
  fence: [
    {
      file: FENCE,
      find: "fence.kind === 'set' ? judgeLease(fence, now) : undefined",
      replace: 'undefined as DownlinkRefusal | undefined',
    },
  ],
};
