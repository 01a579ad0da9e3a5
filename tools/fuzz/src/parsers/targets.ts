import { contentTargets } from './content-targets.ts';
import { gatewayTargets } from './gateway-targets.ts';
import { networkTargets } from './network-targets.ts';
import { radioTargets } from './radio-targets.ts';
import type { Target } from './target.ts';

/** Everything that reads bytes of gateways, motes and the bus, or content of strangers. */
export const TARGETS: readonly Target[] = [
  ...gatewayTargets,
  ...networkTargets,
  ...radioTargets,
  ...contentTargets,
];
