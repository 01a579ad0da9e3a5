import { describe, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { deviceProfile, type DeviceProfile } from '@antirio/edgex-contracts';
import { planCommand, type CommandMethod, type PlanOptions } from './command-plan.ts';

const resource = (name: string, readWrite: string, more: object = {}): object => ({
  name,
  properties: { valueType: 'Int16', readWrite },
  ...more,
});

const command = (name: string, readWrite: string, ...resources: readonly string[]): object => ({
  name,
  readWrite,
  resourceOperations: resources.map((deviceResource) => ({ deviceResource })),
});

const profile: DeviceProfile = deviceProfile.parse({
  name: 'room',
  deviceResources: [
    resource('TempIn', 'RW', { attributes: { register: 7 } }),
    resource('TempOut', 'R'),
    resource('Set.Point', 'RW'),
    resource('SetXPoint', 'RW'),
    resource('Secret', 'W'),
    resource('Temps', 'R'),
  ],
  deviceCommands: [
    command('Temps', 'R', 'TempIn', 'TempOut'),
    command('Points', 'RW', 'TempIn', 'Set.Point'),
    command('Store', 'W', 'Secret'),
  ],
});

const OPTIONS: PlanOptions = { deviceName: 'room-1', maxCmdOps: 2 };

function planned(name: string, method: CommandMethod, options: Partial<PlanOptions> = {}) {
  const plan = planCommand(profile, name, method, { ...OPTIONS, ...options });
  const { kind, sourceName, publishes } = plan;
  return { kind, sourceName, publishes, reads: plan.operations.map((one) => one.request.resourceName) };
}

function refused(name: string, method: CommandMethod, options: Partial<PlanOptions> = {}): [string, string] {
  try {
    planned(name, method, options);
  } catch (error) {
    if (error instanceof AntirioError) return [error.code, error.message];
  }
  return ['nothing', ''];
}

describe('planCommand', () => {
  test('a resource is read and written by its name', () => {
    expect(planned('TempIn', 'get')).toEqual({
      kind: 'resource',
      sourceName: 'TempIn',
      publishes: true,
      reads: ['TempIn'],
    });
    expect(planned('Secret', 'set')).toMatchObject({ kind: 'resource', publishes: false });
  });

  test('a device command goes before a resource of the same name, and keeps the order of its operations', () => {
    expect(planned('Temps', 'get')).toMatchObject({ kind: 'command', reads: ['TempIn', 'TempOut'] });
    expect(planned('Store', 'set')).toMatchObject({ kind: 'command', publishes: false, reads: ['Secret'] });
  });

  test('what is neither is a pattern of whole names; what can only be written is left out', () => {
    expect(planned('Temp(In|Out)', 'get')).toMatchObject({
      kind: 'pattern',
      sourceName: 'Temp(In|Out)',
      reads: ['TempIn', 'TempOut'],
    });
    expect(planned('.*', 'get').reads).toEqual(['TempIn', 'TempOut', 'Set.Point', 'SetXPoint', 'Temps']);
  });

  test('a resource is no pattern of others', () => {
    expect(planned('Set.Point', 'get').reads).toEqual(['Set.Point']);
  });

  test('attributes are those of the profile, with the query where there is one; the profile stays as it is', () => {
    const attributesOf = (rawQuery?: string): unknown =>
      planCommand(profile, 'TempIn', 'get', { ...OPTIONS, ...(rawQuery === undefined ? {} : { rawQuery }) })
        .operations[0]?.request.attributes;
    expect(attributesOf('unit=F')).toEqual({ register: 7, urlRawQuery: 'unit=F' });
    expect(attributesOf()).toEqual({ register: 7 });
  });

  test.each<[string, CommandMethod, Partial<PlanOptions>, string, string]>([
    ['', 'get', {}, 'invalidInput', 'command is empty'],
    ['Nothing', 'get', {}, 'notFound', 'Regex DeviceResource Nothing not found'],
    ['Temp', 'get', {}, 'notFound', 'Regex DeviceResource Temp not found'],
    ['Nothing', 'get', { patterns: false }, 'notFound', 'DeviceResource Nothing not found'],
    ['Temp.*', 'set', {}, 'notFound', 'DeviceResource Temp.* not found'],
    ['Secret', 'get', {}, 'methodNotAllowed', 'no readable resources matched with Secret'],
    [
      'Secret',
      'get',
      { patterns: false },
      'methodNotAllowed',
      'DeviceResource Secret is marked as write-only',
    ],
    ['TempOut', 'set', {}, 'methodNotAllowed', 'DeviceResource TempOut is marked as read-only'],
    ['Store', 'get', {}, 'methodNotAllowed', 'DeviceCommand Store is marked as write-only'],
    ['Temps', 'set', {}, 'methodNotAllowed', 'DeviceCommand Temps is marked as read-only'],
    ['Temps', 'get', { maxCmdOps: 1 }, 'failed', 'GET command Temps exceed device room-1 MaxCmdOps (1)'],
    ['Points', 'set', { maxCmdOps: 1 }, 'failed', 'SET command Points exceed device room-1 MaxCmdOps (1)'],
    [
      'Temp(',
      'get',
      {},
      'invalidInput',
      'failed to CompilePOSIX resource name -> error parsing regexp: missing closing ): `Temp(`',
    ],
    [
      'a'.repeat(1025),
      'get',
      {},
      'invalidInput',
      'failed to CompilePOSIX resource name -> the pattern has more than 1024 characters',
    ],
  ])('%s, %s %j: %s', (name, method, options, code, message) => {
    expect(refused(name, method, options)).toEqual([code, message]);
  });

  test('a profile whose command has a resource that is not there is refused as the device service has it', () => {
    const wrong = { ...profile, deviceResources: [] };
    expect(() => planCommand(wrong, 'Points', 'set', OPTIONS)).toThrow(
      expect.objectContaining({
        code: 'failed',
        message: 'DeviceResource TempIn in SET command Points for room-1 not defined',
      }),
    );
  });
});
