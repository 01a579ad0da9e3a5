import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { nodeEnvironment, nodeFlags } from '@antirio/bundle';

const unit = readFileSync(join(import.meta.dirname, '../antirio.service'), 'utf8');
const setting = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '';

describe('the systemd unit', () => {
  test('starts Node as everything else that runs the product does', () => {
    const [node, ...rest] = setting('ExecStart').split(' ');
    expect(node).toBe('/opt/antirio/node');
    expect(rest).toEqual([...nodeFlags, '/opt/antirio/bundle/antirio.mjs', 'up']);
    for (const [name, value] of Object.entries(nodeEnvironment))
      expect(setting('Environment').split(' ')).toContain(`${name}=${value}`);
  });

  test('gives the edge time for its last gasp, and starts it again whatever it died of', () => {
    expect(setting('KillSignal')).toBe('SIGTERM');
    expect(Number(setting('TimeoutStopSec'))).toBeGreaterThanOrEqual(20);
    expect(setting('Restart')).toBe('always');
  });
});
