export interface Metric {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** By the name of the service. */
export type ServiceMetrics = Readonly<Record<string, readonly Metric[]>>;

const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_bytes(?:_total)?$/, 'bytes'],
  [/_seconds(?:_total)?$/, 'seconds'],
  [/_ratio$|airtime/, 'ratio'],
  [/_info$/, '1'],
];

/** By the naming rules of Prometheus: the unit is in the name, and what has none is counted. */
export function unitOf(name: string): string {
  return UNITS.find(([pattern]) => pattern.test(name))?.[1] ?? 'number';
}

const isOfProcess = ({ name }: Metric): boolean => /^(?:process|nodejs)_/.test(name);

const byName = (a: Metric, b: Metric): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function table(metrics: readonly Metric[]): string {
  const rows = [...metrics]
    .sort(byName)
    .map(
      ({ name, type, help, labels }) =>
        `| \`${name}\` | ${type} | ${unitOf(name)} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${cell(help)} |`,
    );
  return ['| name | type | unit | labels | what it is |', '|---|---|---|---|---|', ...rows].join('\n');
}

/** Those that every service has. */
function common(services: ServiceMetrics): Metric[] {
  const [first = [], ...others] = Object.values(services);
  return first.filter(({ name }) => others.every((metrics) => metrics.some((one) => one.name === name)));
}

/** The page of all metrics. */
export function metricsPage(services: ServiceMetrics): string {
  const shared = common(services);
  const names = new Set(shared.map(({ name }) => name));
  const sections = Object.entries(services)
    .map(([service, metrics]) => [service, metrics.filter(({ name }) => !names.has(name))] as const)
    .filter(([, own]) => own.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, own]) => `## ${service}\n\n${table(own)}`);
  const lines = [
    '# Metrics',
    '',
    '<!-- Made by `node tools/workspace/src/metrics/main.ts` of what the services have registered; a test holds it against them. -->',
    '',
    'Every service answers `GET /api/v3/metrics` in the format of Prometheus, and `GET /api/v3/metrics/list` with this list as JSON. Labels of a metric that has no value yet are listed all the same.',
    '`docker/grafana/antirio.json` is a dashboard of them for Grafana; it expects the label `service` of each target to be the name of the service, as in [operations.md](operations.md#metrics).',
    '',
    '## Every service',
    '',
    table(shared.filter((metric) => !isOfProcess(metric))),
    '',
    '### Its process',
    '',
    'Services of one process tell the same here.',
    '',
    table(shared.filter(isOfProcess)),
    '',
    sections.join('\n\n'),
  ];
  return `${lines.join('\n')}\n`;
}

/** The names on a page. */
export function namesOn(page: string): string[] {
  return [...page.matchAll(/^\| `([A-Za-z_:][\w:]*)` \| (\w+) \|/gm)].flatMap(([, name = '', type]) =>
    type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
}
