import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { composeFiles, OVERRIDES } from './compose.ts';
import { SCOPES } from './lab-secrets.ts';

interface Service {
  readonly image?: string;
  readonly build?: unknown;
  readonly command?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
}

interface Composed {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

const load = (file: string) => parse(readFileSync(file, 'utf8'), { merge: true }) as Composed;
const [main = ''] = composeFiles([]);
const URL_OF_A_SERVICE = /^ANTIRIO_SERVICES__.*__URL$/;

describe('docker/lab/compose.yml', () => {
  const { services } = load(main);

  test('has each service of an edge once at either edge, each by itself', () => {
    for (const edge of ['a', 'b']) {
      const own = Object.entries(services).filter(([name]) => name.startsWith(`${edge}-`));
      expect(own).toHaveLength(14);
      for (const [name, { command }] of own) expect(command).toEqual(['serve', name.slice(2)]);
    }
  });

  test('builds nothing, and gives no container more rights than it needs', () => {
    for (const service of Object.values(services)) {
      expect(service.build).toBeUndefined();
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    }
  });

  test('says in one place what makes it a lab', () => {
    expect(readFileSync(main, 'utf8').match(/ALLOW_INSECURE_BIND/g)).toHaveLength(1);
  });

  test('has nothing open, and each service with a token of its own, where tls is chosen', () => {
    const [, tls = ''] = composeFiles(['tls']);
    const { services: secured, volumes } = load(tls);
    expect(readFileSync(tls, 'utf8')).not.toMatch(/http:|mqtt:|antirio_|BEGIN/);
    const mounted = Object.entries(secured).map(([name, { environment, volumes: own }]) => {
      expect(environment).toMatchObject({
        ANTIRIO_ALLOW_INSECURE_BIND: 'false',
        ANTIRIO_BROKER__ANONYMOUS: 'none',
      });
      expect(own).toEqual([`tls-${name}:/tls:ro`]);
      return `tls-${name}`;
    });
    expect(mounted).toHaveLength(29);
    expect(Object.keys(volumes ?? {}).sort()).toEqual(mounted.sort());
    // whoever is asked by another is asked by TLS
    for (const [service, { environment = {} }] of Object.entries(services).filter(([name]) =>
      /^[ab]-/.test(name),
    ))
      for (const name of Object.keys(environment).filter((key) => URL_OF_A_SERVICE.test(key)))
        expect([name, secured[service]?.environment?.[name]]).toEqual([
          name,
          expect.stringMatching(/^(?:https|mqtts):/),
        ]);
    const asked = Object.keys(secured['a-dmu']?.environment ?? {}).filter((key) =>
      /SERVICES__.*__URL$/.test(key),
    );
    expect(asked.map((key) => key.slice(18, -5).toLowerCase().replaceAll('_', '-')).sort()).toEqual(
      Object.keys(SCOPES).sort(),
    );
  });

  test('has mosquitto speak TLS too where both are chosen, in whatever order', () => {
    const names = composeFiles(['mosquitto', 'tls']).map((file) => basename(file));
    expect(names).toEqual(['compose.yml', 'tls.yml', 'mosquitto.yml', 'mosquitto-tls.yml']);
  });

  test.each(OVERRIDES)('%s changes services that are there, and builds nothing', (name) => {
    const file = composeFiles([name])[1] ?? '';
    expect(basename(file)).toBe(`${name}.yml`);
    for (const [service, { image, build }] of Object.entries(load(file).services)) {
      expect(build).toBeUndefined();
      expect(image !== undefined || service in services).toBe(true);
    }
  });
});

test('what chirpstack.yml mounts is there, and its gateways come by the bridge alone', () => {
  const file = composeFiles(['chirpstack'])[1] ?? '';
  const text = readFileSync(file, 'utf8');
  const mounted = [...text.matchAll(/'(\.\/[^:']+):/g)].map(([, path = '']) => join(dirname(file), path));
  expect(mounted.length).toBeGreaterThan(1);
  for (const path of mounted) expect(existsSync(path)).toBe(true);
  const region = readFileSync(join(dirname(file), 'chirpstack/region_eu868.toml'), 'utf8');
  expect(region).toContain('topic_prefix="chirpstack/eu868"');
  expect(region).toContain('server="tcp://broker:1883"');
  expect(text).not.toMatch(/1700|gateway-bridge:/);
});
