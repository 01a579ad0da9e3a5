import { describe, expect, test } from '@jest/globals';
import {
  appendedContracts,
  appendService,
  checkCompose,
  removeService,
  type AppendedService,
} from './compose.ts';

const FLEET = `# What runs on every bridge
version: '2.1'
services:
  # All rooms in one
  edge:
    image: antirio:1
    network_mode: host
    privileged: true
    labels:
      io.balena.features.balena-socket: '1'
    volumes:
      - data:/data
volumes:
  data:
`;
const nodered: AppendedService = {
  contractId: 'c-1',
  build: './contracts/c-1',
  ports: '1880',
  volumes: 'node-red-data:/data',
  dependsOn: ['edge', 'lora-appserver'],
  memoryBytes: 128 << 20,
  cpus: 0.5,
};

const withService = (lines: string): string => `services:\n  a:\n    image: x\n${lines}`;

describe('a fleet’s compose file', () => {
  test('gets a service of a contract, and keeps everything else as it was written', () => {
    const appended = appendService(FLEET, nodered);
    expect(appended.startsWith(FLEET.split('volumes:\n  data')[0] ?? '?')).toBe(true);
    expect(appended).toContain('# What runs on every bridge');
    expect(appended).toContain('  # All rooms in one\n  edge:');
    expect(appendedContracts(appended)).toEqual(['c-1']);
    expect(appended).toContain('  antirio-c-1:\n    build: ./contracts/c-1\n');
    expect(appended).toContain('antirio-c-1-node-red-data:/data');
    // What the fleet does not have cannot be waited for
    expect(appended).toMatch(/depends_on:\n +- edge\n +cap_drop:\n +- ALL/);
    expect(appended).not.toContain('lora-appserver');
  });

  test('is the same after appending twice, and as before after removing', () => {
    const once = appendService(FLEET, nodered);
    expect(appendService(once, nodered)).toBe(once);
    expect(appendService(once, { ...nodered, ports: '' })).not.toContain('1880');
    const two = appendService(once, { ...nodered, contractId: 'c-2', volumes: '' });
    expect(appendedContracts(two)).toEqual(['c-1', 'c-2']);
    expect(removeService(two, 'c-2')).toBe(once);
    expect(removeService(once, 'c-1')).toBe(FLEET);
    expect(removeService(FLEET, 'c-1')).toBe(FLEET);
  });

  test('keeps what belongs to a contract whose id begins as that of another', () => {
    const one = appendService(FLEET, { ...nodered, contractId: 'a-b' });
    const two = appendService(one, { ...nodered, contractId: 'a' });
    expect(removeService(two, 'a')).toBe(one);
    expect(appendedContracts(appendService(two, { ...nodered, contractId: 'a', volumes: '' }))).toContain(
      'a-b',
    );
  });

  test('keeps its own service of such a name', () => {
    const own = FLEET.replace('  edge:', '  antirio-c-1:');
    expect(() => appendService(own, nodered)).toThrow(/a service antirio-c-1 of its own/);
    expect(removeService(own, 'c-1')).toBe(own);
  });

  test('never shares a volume: its name is not what counts', () => {
    const appended = appendService(FLEET, { ...nodered, volumes: 'data:/data' });
    expect(appended).toContain('antirio-c-1-data:/data');
    expect(() => appendService(FLEET, { ...nodered, volumes: '/etc:/etc' })).toThrow(/is no name:\/path/);
    expect(() => appendService(FLEET, { ...nodered, volumes: '../up:/etc' })).toThrow(/is no name:\/path/);
  });

  // As balena's own parser decides
  test.each([
    ['logging', withService('    logging: {driver: none}\n'), /services\.a\.logging/],
    ['deploy', withService('    deploy: {replicas: 2}\n'), /services\.a\.deploy/],
    ['secrets', `${withService('')}secrets: {x: {file: ./x}}\n`, /secrets/],
    ['oom_kill_disable', withService('    oom_kill_disable: true\n'), /oom_kill_disable/],
    ['platform', withService('    platform: linux/arm64\n'), /platform/],
    ['runtime', withService('    runtime: runc\n'), /runtime/],
    [
      'build.platforms',
      'services:\n  a:\n    build: {context: ., platforms: [linux/arm64]}\n',
      /build\.platforms/,
    ],
    ['a folder of the host', withService('    volumes: ["./x:/x"]\n'), /services\.a\.volumes\[0\]/],
    ['a bind mount', withService('    volumes: [{type: bind, source: /etc, target: /x}]\n'), /volumes\[0\]/],
    ['a condition', withService('    depends_on: {b: {condition: service_healthy}}\n'), /service_started/],
    ['no services', 'version: "2.1"\n', /services/],
    ['no YAML', 'services:\n  a: [', /line 2/],
    ['a service that is a list', 'services:\n  a: []\n', /services\.a/],
  ])('is refused with the place: %s', (_what, text, message) => {
    expect(() => checkCompose(text)).toThrow(message);
  });

  test.each([
    ['version 2.1', `version: '2.1'\n${withService('')}`],
    ['a socket of the engine', withService('    volumes: ["/var/run/docker.sock:/var/run/docker.sock"]\n')],
    ['a started condition', withService('    depends_on: {b: {condition: service_started}}\n')],
    ['limits', withService('    mem_limit: 256m\n    cpus: 1.5\n    init: true\n    tmpfs: [/tmp]\n')],
    ['a device', withService('    devices: ["/dev/spidev0.0:/dev/spidev0.0"]\n')],
  ])('is taken: %s', (_what, text) => {
    expect(() => checkCompose(text)).not.toThrow();
  });

  test('that is a bomb of aliases does not fill the memory', () => {
    const layers = Array.from({ length: 30 }, (_, i) => `x${i + 1}: &x${i + 1} [*x${i}, *x${i}]\n`).join('');
    expect(() => checkCompose(`x0: &x0 [1]\n${layers}${withService('')}`)).toThrow();
  });
});
