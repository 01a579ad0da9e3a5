import { gatewayTargets } from './gateway-targets.ts';
import { radioTargets } from './radio-targets.ts';
import type { Target } from './target.ts';

/** Everything that reads bytes of gateways, motes and the bus. */
export const TARGETS: readonly Target[] = [...gatewayTargets, ...radioTargets];
