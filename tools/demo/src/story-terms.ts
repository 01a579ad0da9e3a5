import type { ExtraName } from './network.ts';
import type { DemoOptions } from './options.ts';

type Section = Readonly<Record<string, unknown>>;
type Ids = Readonly<
  Record<'central', { readonly edgeId: string }> & Partial<Record<ExtraName, { readonly edgeId: string }>>
>;

/** So often edge A of `flapping` fails. */
export const FLAPS = 3;
/** The least that terms may have. */
export const MAX_ACTIVE_S = 60;
/** For so long a room of edge A is out before it says so. */
const BRIDGE_DEAD_MS = 5_000;

function ofStory({ kill }: DemoOptions, { central, c, d }: Ids): Section {
  switch (kill) {
    case 'flapping':
      return { flapping: { maxBackoffMs: 60_000 } };
    case 'dead-bridge':
      return { deaf: { forMs: BRIDGE_DEAD_MS } };
    case 'max-active':
      return { maxActiveS: MAX_ACTIVE_S };
    case 'key-holders':
      return { escrow: { threshold: 2, holders: [central, c, d].map((one) => one?.edgeId) } };
    default:
      return {};
  }
}

/** Of the contract; the back-off before the return is short, so that the story is, and stays so however often it is told. */
export function termsOf(options: DemoOptions, ids: Ids): Section {
  return {
    ...{ heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3_000 },
    ...{ returnBackoffMs: options.backoffMs, flapping: { maxBackoffMs: 0 }, rekey: { waitS: 45 } },
    ...(options.drilled ? {} : { drills: { perMonth: 0 } }),
    ...(options.rootKeys ? { rootKeys: true } : {}),
    ...ofStory(options, ids),
  };
}

/** Who opens: by default, with a witness. */
export const openingOf = ({ kill }: DemoOptions): Section =>
  kill === 'autonomous' ? { opening: ['autonomous'] } : {};

/** How many takeovers the contract pays for. */
export const takeoversOf = ({ kill, takeovers }: DemoOptions): number =>
  kill === 'flapping' ? FLAPS : takeovers;
