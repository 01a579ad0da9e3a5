import type { ScenarioKind } from './kinds.ts';

/** What is to be done with each seed of a run. */
export interface Order {
  readonly kind: ScenarioKind;
  /** Whose stories are told: the first failing one's of a stretch, or all of them, also with every frame, datagram and write. */
  readonly stories: 'failing' | 'all' | 'fine';
}

/** Some seeds that follow one another. */
export interface Stretch {
  readonly from: number;
  readonly count: number;
}

export interface StretchResult extends Stretch {
  readonly events: number;
  readonly simulatedMs: number;
  readonly failed: readonly { readonly seed: number; readonly words: string }[];
  readonly stories: readonly string[];
}
