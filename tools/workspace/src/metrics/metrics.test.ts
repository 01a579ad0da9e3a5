import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { workspaceRoot } from '../root.ts';
import { metricsPage, namesOn, unitOf } from './document.ts';
import { expressionsOf, metricsIn, type Dashboard } from './queries.ts';

const read = (path: string): string => readFileSync(join(workspaceRoot, path), 'utf8');
const dashboard = JSON.parse(read('docker/grafana/antirio.json')) as Dashboard;
const known = new Set(namesOn(read('docs/metrics.md')));

describe('the dashboard', () => {
  test('asks for metrics that there are, in every query', () => {
    expect(known.size).toBeGreaterThan(60);
    const asked = expressionsOf(dashboard);
    expect(asked.length).toBeGreaterThan(30);
    for (const [where, expression] of asked) {
      const metrics = metricsIn(expression);
      expect([where, metrics.length > 0, metrics.filter((name) => !known.has(name))]).toEqual([
        where,
        true,
        [],
      ]);
    }
  });

  test('has panels of their own numbers, and a query in each that is no row', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { title, type, targets = [] } of dashboard.panels)
      expect([title, targets.length > 0]).toEqual([title, type !== 'row']);
  });

  test('is read as PromQL is: a name that there is none of is found', () => {
    expect(metricsIn('sum by (what) (rate(antirio_x_total{service=~"a|b"}[5m])) / time()')).toEqual([
      'antirio_x_total',
    ]);
    expect(metricsIn('label_values(antirio_y, service)')).toEqual(['antirio_y']);
    expect(metricsIn('rate(A[5m]) / ignored')).toEqual(['A', 'ignored']);
  });
});

test('a page has what all services share once, and of histograms what they are asked by', () => {
  const metric = (name: string, type = 'counter') => ({
    name,
    type,
    help: `a | b of ${name}`,
    labels: ['x'],
  });
  const page = metricsPage({
    one: [metric('shared_total'), metric('own_bytes', 'gauge')],
    two: [metric('shared_total'), metric('time_seconds', 'histogram')],
  });
  expect(namesOn(page)).toEqual([
    'shared_total',
    'own_bytes',
    ...['time_seconds', 'time_seconds_bucket', 'time_seconds_sum', 'time_seconds_count'],
  ]);
  expect(page).toContain('| `own_bytes` | gauge | bytes | `x` | a \\| b of own_bytes |');
  expect(['a_bytes_total', 'b_seconds', 'c_total'].map(unitOf)).toEqual(['bytes', 'seconds', 'number']);
});
