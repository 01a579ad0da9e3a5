/** The kinds of world that a seed is drawn for. */
export const scenarioKinds = [
  'oneProvider',
  'twoProviders',
  'drills',
  'fullDrills',
  'coverage',
  'unheard',
  'blocks',
  'long',
  'misstated',
  'strays',
  'faithless',
  'overlong',
  'fullDisks',
  'expiring',
  'relay',
  'floods',
] as const;
export type ScenarioKind = (typeof scenarioKinds)[number];
