import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { workspaceRoot } from '@antirio/bundle';
import { parse } from 'yaml';

interface Compose {
  readonly services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/** What balena's compose parser took when it was asked; everything else it refused, or was not asked. */
const SERVICE_KEYS = new Set([
  ...['build', 'command', 'cpus', 'depends_on', 'devices', 'environment', 'healthcheck', 'init', 'labels'],
  ...['mem_limit', 'network_mode', 'networks', 'privileged', 'restart', 'tmpfs', 'tty', 'volumes'],
]);
const BUILD_KEYS = new Set(['context', 'dockerfile']);
const TOP_KEYS = new Set(['version', 'services', 'volumes', 'networks']);

const unknown = (value: unknown, keys: ReadonlySet<string>, where: string): string[] =>
  Object.keys(value as object)
    .filter((key) => !keys.has(key))
    .map((key) => `${where}.${key}`);

/** Only volumes by name: `source:target`. */
function mounts(service: Compose['services'][string], names: readonly string[], where: string): string[] {
  const listed = (service['volumes'] ?? []) as readonly unknown[];
  return listed
    .filter((one) => typeof one !== 'string' || !names.includes(one.split(':')[0] ?? ''))
    .map((one) => `${where}.volumes: ${JSON.stringify(one)}`);
}

/** What balena's parser would refuse, or was not tried with. */
function refusedByBalena(compose: Compose): string[] {
  const names = Object.keys(compose.volumes ?? {});
  const services = Object.entries(compose.services).flatMap(([name, service]) => [
    ...unknown(service, SERVICE_KEYS, name),
    ...unknown(service['build'] ?? {}, BUILD_KEYS, `${name}.build`),
    ...mounts(service, names, name),
    ...(Array.isArray(service['depends_on'] ?? []) ? [] : [`${name}.depends_on with conditions`]),
  ]);
  return [...unknown(compose, TOP_KEYS, 'file'), ...services];
}

const load = (file: string): Compose => parse(readFileSync(join(workspaceRoot, file), 'utf8')) as Compose;
const withService = (more: object): Compose => ({ services: { a: { build: { context: '.' }, ...more } } });

describe('docker-compose.yml', () => {
  const compose = load('docker-compose.yml');

  test('is what balena’s parser takes', () => {
    expect(refusedByBalena(compose)).toEqual([]);
  });

  test.each([
    [withService({ deploy: {} }), 'a.deploy'],
    [withService({ logging: {} }), 'a.logging'],
    [withService({ profiles: ['x'] }), 'a.profiles'],
    [withService({ platform: 'linux/arm64' }), 'a.platform'],
    [withService({ build: { context: '.', platforms: [] } }), 'a.build.platforms'],
    [withService({ volumes: ['./here:/there'] }), 'a.volumes: "./here:/there"'],
    [withService({ depends_on: { b: { condition: 'service_healthy' } } }), 'a.depends_on with conditions'],
    [{ ...withService({}), secrets: {} }, 'file.secrets'],
  ])('%j would not be', (refused, why) => {
    expect(refusedByBalena(refused)).toEqual([why]);
  });

  test('is one edge, made of docker/Dockerfile, whose volumes outlive it', () => {
    expect(Object.keys(compose.services)).toEqual(['edge']);
    expect(compose.services['edge']).toMatchObject({
      build: { context: '.', dockerfile: 'docker/Dockerfile' },
      volumes: expect.arrayContaining(['data:/data']),
    });
    expect(Object.keys(compose.volumes ?? {})).toEqual(['data', 'run']);
  });
});

test('balena.yml names devices of 64 bits, for which there is an image', () => {
  const { data } = load('balena.yml') as unknown as { data: Record<string, unknown> };
  expect(data['supportedDeviceTypes']).toEqual(['raspberrypi3-64', 'raspberrypi4-64', 'raspberrypi5']);
  expect(data['supportedDeviceTypes']).toContain(data['defaultDeviceType']);
});
