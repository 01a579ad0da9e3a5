/** The parts of a Grafana dashboard that ask for metrics. */
export interface Dashboard {
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly type: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly query?: string | { readonly query: string } }[] };
}

/** What stands where a metric may stand and is none: keywords and functions of PromQL that the dashboard uses, and Grafana's own. */
const WORDS = new Set([
  'by',
  'without',
  'sum',
  'max',
  'min',
  'avg',
  'rate',
  'increase',
  'time',
  'label_values',
]);
/** Selectors, ranges, and the labels of a grouping. */
const NO_METRICS = /\{[^}]*\}|\[[^\]]*\]|\b(?:by|without)\s*\([^)]*\)|"[^"]*"/g;

/** The metrics that an expression of PromQL, or of Grafana's variables, names. */
export function metricsIn(expression: string): string[] {
  const isVariable = expression.startsWith('label_values(');
  const bare = isVariable ? expression.replace(/,[^)]*\)/, ')') : expression.replaceAll(NO_METRICS, ' ');
  return [...bare.matchAll(/[A-Za-z_:][\w:]*/g)].map(([word]) => word).filter((word) => !WORDS.has(word));
}

/** Every expression of a dashboard, with the panel that it is of. */
export function expressionsOf({ panels, templating }: Dashboard): [where: string, expression: string][] {
  const ofPanels = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [title, expr]),
  );
  const ofVariables = templating.list.flatMap(({ query }): [string, string][] =>
    typeof query === 'object' ? [['a variable', query.query]] : [],
  );
  return [...ofPanels, ...ofVariables];
}
