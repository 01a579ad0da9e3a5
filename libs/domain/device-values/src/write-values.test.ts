import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError, utf8 } from '@antirio/kernel';
import { deviceProfile, valueTypes } from '@antirio/edgex-contracts';
import { planCommand } from './command-plan.ts';
import { settingsOf, writeValues, type Settings } from './write-values.ts';

const resource = (name: string, properties: object): object => ({
  name,
  properties: { valueType: 'Int16', readWrite: 'RW', ...properties },
});

const profile = deviceProfile.parse({
  name: 'room',
  deviceResources: [
    resource('Setpoint', { scale: 0.1, minimum: 5, maximum: 30 }),
    resource('Mode', { valueType: 'Uint8' }),
    resource('Fan', { defaultValue: '3' }),
    resource('Plain', {}),
    resource('Text', { valueType: 'String', defaultValue: 'none' }),
  ],
  deviceCommands: [
    {
      name: 'Heat',
      readWrite: 'W',
      resourceOperations: [
        { deviceResource: 'Setpoint' },
        { deviceResource: 'Mode', defaultValue: '1', mappings: { '1': 'heat', '2': 'cool' } },
        { deviceResource: 'Fan', defaultValue: '7' },
      ],
    },
  ],
});

function written(command: string, settings: Settings, dataTransform = true): unknown[] {
  const plan = planCommand(profile, command, 'set', { deviceName: 'room-1', maxCmdOps: 128 });
  return writeValues(plan, settings, { dataTransform }).map(({ resourceName, value }) => [
    resourceName,
    value.value,
  ]);
}

function refusal(run: () => unknown): [string, string] {
  try {
    run();
  } catch (error) {
    if (error instanceof AntirioError) return [error.code, error.message];
    throw error;
  }
  return ['', ''];
}

describe('writeValues', () => {
  test('the settings of a command are parsed, unmapped and transformed; defaults stand for what is missing', () => {
    expect(written('Heat', { Setpoint: '21', Mode: 'cool' })).toEqual([
      ['Setpoint', 210],
      ['Mode', 2],
      ['Fan', 7],
    ]);
    expect(written('Heat', { Setpoint: '21' }, false)).toEqual([
      ['Setpoint', 21],
      ['Mode', 1],
      ['Fan', 7],
    ]);
  });

  test("a resource's own default stands where it is written alone; null is a value", () => {
    expect(written('Fan', {})).toEqual([['Fan', 3]]);
    expect(written('Fan', { Fan: null })).toEqual([['Fan', null]]);
    expect(written('Text', {})).toEqual([['Text', 'none']]);
    expect(written('Text', { Text: '' })).toEqual([['Text', '']]);
  });

  test('settings of other resources do not matter, nor what objects inherit', () => {
    expect(written('Fan', { Other: 1, Fan: '4' })).toEqual([['Fan', 4]]);
    expect(refusal(() => written('Plain', Object.create({ Plain: '1' }) as Settings))[0]).toBe('failed');
  });

  test.each<[string, Settings, string, string]>([
    ['Plain', {}, 'failed', 'DeviceResource Plain not found in request body and no default value defined'],
    ['Heat', {}, 'failed', 'DeviceResource Setpoint not found in request body and no default value defined'],
    [
      'Plain',
      { Plain: '40000' },
      'invalidInput',
      'failed to create CommandValue -> failed to convert set parameter 40000 to ValueType Int16 -> strconv.ParseInt: parsing "40000": value out of range',
    ],
    [
      'Plain',
      { Plain: ' ' },
      'invalidInput',
      'failed to create CommandValue -> empty string is invalid for Int16 value type',
    ],
    [
      'Setpoint',
      { Setpoint: '31' },
      'invalidInput',
      'failed to transform set parameter -> set command parameter out of maximum value 30',
    ],
    [
      'Setpoint',
      { Setpoint: '4' },
      'invalidInput',
      'failed to transform set parameter -> set command parameter out of minimum value 5',
    ],
  ])('%s %j is refused: %s', (command, settings, code, message) => {
    expect(refusal(() => written(command, settings))).toEqual([code, message]);
  });

  test('whatever JSON is set, it is a value or refused as one', () => {
    const anyType = fc.constantFrom(...valueTypes.filter((type) => type !== 'Binary'));
    fc.assert(
      fc.property(anyType, fc.oneof(fc.jsonValue(), fc.string(), fc.bigInt()), (valueType, setting) => {
        const drawn = deviceProfile.parse({ name: 'p', deviceResources: [resource('R', { valueType })] });
        const plan = planCommand(drawn, 'R', 'set', { deviceName: 'd', maxCmdOps: 1 });
        const [code] = refusal(() => writeValues(plan, { R: setting }, { dataTransform: true }));
        expect(['', 'invalidInput']).toContain(code);
      }),
    );
  });
});

describe('settingsOf', () => {
  test('a body is a JSON object; none is no settings', () => {
    expect(settingsOf(utf8('{"A":"1","B":9007199254740993}'))).toEqual({ A: '1', B: 9007199254740993n });
    expect(settingsOf(utf8(''))).toEqual({});
    expect(settingsOf(utf8('null'))).toEqual({});
  });

  test.each(['[1]', '"text"', '5', '{', 'nothing', '{"a":1e400}'])('%s is refused', (body) => {
    expect(refusal(() => settingsOf(utf8(body)))).toEqual([
      'invalidInput',
      expect.stringMatching(/^failed to parse request body -> /),
    ]);
  });
});
