import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  apiVersion,
  deviceRequest,
  Fixture,
  profileRequest,
  properties,
  serviceRequest,
  watcherRequest,
  type Items,
  type Json,
} from './fixture.ts';

const at = new Fixture();

interface ModelDevice {
  readonly service: string;
  readonly profile: string;
  readonly parent: string;
  readonly source: string;
}
interface ModelWatcher {
  readonly service: string;
  readonly profile: string;
}

/** EdgeX's rules, the naive way. */
class Model {
  readonly services = new Set<string>();
  readonly profiles = new Map<string, readonly string[]>();
  readonly devices = new Map<string, ModelDevice>();
  readonly watchers = new Map<string, ModelWatcher>();

  #refusesDevice(name: string, device: ModelDevice): boolean {
    if (!this.services.has(device.service)) return true;
    for (let above = device.parent, n = 0; above !== '' && n < 9; n += 1) {
      if (above === name) return true;
      above = this.devices.get(above)?.parent ?? '';
    }
    if (device.profile === '') return false;
    const resources = this.profiles.get(device.profile);
    return resources === undefined || (device.source !== '' && !resources.includes(device.source));
  }

  addDevice(name: string, device: ModelDevice, force: boolean): number {
    if (this.#refusesDevice(name, device)) return 400;
    if (this.devices.has(name) && !force) return 409;
    this.devices.set(name, device);
    return 201;
  }

  patchDevice(name: string, change: Partial<ModelDevice>): number {
    const before = this.devices.get(name);
    if (change.service !== undefined && !this.services.has(change.service)) return 400;
    if (before === undefined) return 404;
    const after = { ...before, ...change };
    if (this.#refusesDevice(name, after)) return 400;
    this.devices.set(name, after);
    return 200;
  }

  deleteDevice(name: string): number {
    if (!this.devices.has(name)) return 404;
    if ([...this.devices.values()].some(({ parent }) => parent === name)) return 409;
    this.devices.delete(name);
    return 200;
  }

  addService(name: string): number {
    if (this.services.has(name)) return 409;
    this.services.add(name);
    return 201;
  }

  deleteService(name: string): number {
    if (!this.services.has(name)) return 404;
    const users = [...this.devices.values(), ...this.watchers.values()];
    if (users.some(({ service }) => service === name)) return 409;
    this.services.delete(name);
    return 200;
  }

  addProfile(name: string, resources: readonly string[]): number {
    if (this.profiles.has(name)) return 409;
    this.profiles.set(name, resources);
    return 201;
  }

  putProfile(name: string, resources: readonly string[]): number {
    if (!this.profiles.has(name)) return 404;
    this.profiles.set(name, resources);
    return 200;
  }

  deleteProfile(name: string): number {
    if (!this.profiles.has(name)) return 404;
    const users = [...this.devices.values(), ...this.watchers.values()];
    if (users.some(({ profile }) => profile === name)) return 409;
    this.profiles.delete(name);
    return 200;
  }

  addResource(name: string, resource: string): number {
    const resources = this.profiles.get(name);
    if (resources === undefined) return 404;
    if (resources.includes(resource)) return 400;
    this.profiles.set(name, [...resources, resource]);
    return 201;
  }

  deleteResource(name: string, resource: string): number {
    if ([...this.devices.values()].some(({ profile }) => profile === name)) return 409;
    const resources = this.profiles.get(name);
    if (resources?.includes(resource) !== true) return 404;
    this.profiles.set(
      name,
      resources.filter((one) => one !== resource),
    );
    return 200;
  }

  addWatcher(name: string, watcher: ModelWatcher): number {
    const lacks = watcher.profile !== '' && !this.profiles.has(watcher.profile);
    if (!this.services.has(watcher.service) || lacks) return 404;
    if (this.watchers.has(name)) return 409;
    this.watchers.set(name, watcher);
    return 201;
  }
}

interface Step {
  readonly say: string;
  /** The status that the model expects; it takes the change over. */
  readonly expected: (model: Model, named: (name: string) => string) => number;
  readonly ask: (named: (name: string) => string) => Promise<number>;
}

type Named = (name: string) => string;

const resource = (name: string): Json => ({ name, properties });
const profileJson = (name: string, resources: readonly string[]): unknown =>
  profileRequest(name, { deviceResources: resources.map(resource), deviceCommands: [] });

async function item(method: 'POST' | 'PUT' | 'PATCH', path: string, json: unknown): Promise<number> {
  const items: Items = await at.send(method, path, [json]);
  return items?.[0]?.statusCode ?? 0;
}

const NAMES = ['a', 'b'];
const name = fc.constantFrom(...NAMES);
const nameOrNone = fc.constantFrom('', ...NAMES);
const resources = fc.subarray(['r', 's']);
const deviceOf = fc.record({
  service: name,
  profile: nameOrNone,
  parent: nameOrNone,
  source: fc.constantFrom('', 'r', 's'),
});
const changeOf = fc.record(
  { service: name, profile: name, parent: nameOrNone, source: fc.constantFrom('r', 's') },
  { requiredKeys: [] },
);

const orEmpty = (named: Named, given: string): string => (given === '' ? '' : named(given));

function deviceFields(named: Named, { service, profile, parent, source }: Partial<ModelDevice>): Json {
  return {
    ...(service === undefined ? {} : { serviceName: named(service) }),
    ...(profile === undefined ? {} : { profileName: orEmpty(named, profile) }),
    ...(parent === undefined ? {} : { parent: orEmpty(named, parent) }),
    ...(source === undefined
      ? {}
      : { autoEvents: source === '' ? [] : [{ interval: '1s', sourceName: source }] }),
  };
}

const modelled = (named: Named, device: ModelDevice): ModelDevice => ({
  service: named(device.service),
  profile: orEmpty(named, device.profile),
  parent: orEmpty(named, device.parent),
  source: device.source,
});

function changed(
  named: Named,
  { service, profile, parent, source }: Partial<ModelDevice>,
): Partial<ModelDevice> {
  return {
    ...(service === undefined ? {} : { service: named(service) }),
    ...(profile === undefined ? {} : { profile: orEmpty(named, profile) }),
    ...(parent === undefined ? {} : { parent: orEmpty(named, parent) }),
    ...(source === undefined ? {} : { source }),
  };
}

const stepOf: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(name, deviceOf, fc.boolean()).map(([d, device, force]): Step => ({
      say: `add device ${d} ${JSON.stringify(device)} ${force ? 'by force' : ''}`,
      expected: (model, named) => model.addDevice(named(d), modelled(named, device), force),
      ask: (named) =>
        item(
          'POST',
          `/device?bypassValidation=true&force=${force}`,
          deviceRequest(named(d), deviceFields(named, device)),
        ),
    })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(name, changeOf).map(([d, change]): Step => ({
      say: `change device ${d} ${JSON.stringify(change)}`,
      expected: (model, named) => model.patchDevice(named(d), changed(named, change)),
      ask: (named) =>
        item('PATCH', '/device?bypassValidation=true', {
          apiVersion,
          device: { name: named(d), ...deviceFields(named, change) },
        }),
    })),
  },
  name.map((d): Step => ({
    say: `delete device ${d}`,
    expected: (model, named) => model.deleteDevice(named(d)),
    ask: (named) => at.remove(`/device/name/${named(d)}`),
  })),
  {
    weight: 3,
    arbitrary: name.map((s): Step => ({
      say: `add service ${s}`,
      expected: (model, named) => model.addService(named(s)),
      ask: (named) => item('POST', '/deviceservice', serviceRequest(named(s))),
    })),
  },
  name.map((s): Step => ({
    say: `delete service ${s}`,
    expected: (model, named) => model.deleteService(named(s)),
    ask: (named) => at.remove(`/deviceservice/name/${named(s)}`),
  })),
  {
    weight: 3,
    arbitrary: fc.tuple(name, resources).map(([p, has]): Step => ({
      say: `add profile ${p} with ${has.join()}`,
      expected: (model, named) => model.addProfile(named(p), has),
      ask: (named) => item('POST', '/deviceprofile', profileJson(named(p), has)),
    })),
  },
  fc.tuple(name, resources).map(([p, has]): Step => ({
    say: `put profile ${p} with ${has.join()}`,
    expected: (model, named) => model.putProfile(named(p), has),
    ask: (named) => item('PUT', '/deviceprofile', profileJson(named(p), has)),
  })),
  name.map((p): Step => ({
    say: `delete profile ${p}`,
    expected: (model, named) => model.deleteProfile(named(p)),
    ask: (named) => at.remove(`/deviceprofile/name/${named(p)}`),
  })),
  fc.tuple(name, fc.constantFrom('r', 's')).map(([p, r]): Step => ({
    say: `add resource ${r} to ${p}`,
    expected: (model, named) => model.addResource(named(p), r),
    ask: (named) =>
      item('POST', '/deviceprofile/resource', { apiVersion, profileName: named(p), resource: resource(r) }),
  })),
  fc.tuple(name, fc.constantFrom('r', 's')).map(([p, r]): Step => ({
    say: `delete resource ${r} of ${p}`,
    expected: (model, named) => model.deleteResource(named(p), r),
    ask: (named) => at.remove(`/deviceprofile/name/${named(p)}/resource/${r}`),
  })),
  fc.tuple(name, name, nameOrNone).map(([w, service, profile]): Step => ({
    say: `add watcher ${w} of ${service} and ${profile}`,
    expected: (model, named) =>
      model.addWatcher(named(w), { service: named(service), profile: orEmpty(named, profile) }),
    ask: (named) =>
      item(
        'POST',
        '/provisionwatcher',
        watcherRequest(named(w), {
          serviceName: named(service),
          discoveredDevice: { profileName: orEmpty(named, profile), adminState: 'LOCKED' },
        }),
      ),
  })),
);

async function stored(path: string, field: string): Promise<Json | undefined> {
  const answer = await at.get(path);
  return answer.status === 200 ? ((answer.json() as Json)[field] as Json) : undefined;
}

async function compare(model: Model, named: Named): Promise<void> {
  for (const one of NAMES.map(named)) {
    const device = await stored(`/device/name/${one}`, 'device');
    const expected = model.devices.get(one);
    expect(device && [device['serviceName'], device['profileName'], device['parent']]).toEqual(
      expected && [expected.service, expected.profile, expected.parent],
    );
    const profile = await stored(`/deviceprofile/name/${one}`, 'profile');
    expect((profile?.['deviceResources'] as Json[] | undefined)?.map((has) => has['name'])).toEqual(
      model.profiles.get(one),
    );
    expect((await at.get(`/deviceservice/name/${one}`)).status).toBe(model.services.has(one) ? 200 : 404);
    expect((await at.get(`/provisionwatcher/name/${one}`)).status).toBe(model.watchers.has(one) ? 200 : 404);
  }
}

test('whatever is asked in whatever order has the status and the effect that EdgeX’s rules give it', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(stepOf, { minLength: 12, maxLength: 24 }), async (steps) => {
      run += 1;
      const prefix = `run${run}-`;
      const named: Named = (given) => `${prefix}${given}`;
      const model = new Model();
      for (const { say, ask, expected } of steps) {
        const got = await ask(named);
        expect([say, got]).toEqual([say, expected(model, named)]);
      }
      await compare(model, named);
    }),
    { numRuns: 25 },
  );
});
