// Calls of core-metadata's API that its contract is tried with.
import {
  apiVersion,
  deviceRequest,
  profile,
  profileRequest,
  properties,
  serviceRequest,
  watcherRequest,
} from './fixture.ts';

type Method = 'POST' | 'PUT' | 'PATCH';

interface Change {
  readonly method: Method;
  readonly path: string;
  readonly json?: unknown;
  readonly body?: FormData;
}

/** A form with one file of YAML (which JSON is). */
export function form(value: unknown): { body: FormData } {
  const body = new FormData();
  body.set('file', new Blob([`# a profile\n${JSON.stringify(value)}`]), 'profile.yaml');
  return { body };
}

/** A request for a part of a profile. */
export const partRequest = (field: string, fields: object, profileName = 'p'): unknown => ({
  apiVersion,
  profileName,
  [field]: fields,
});

/** What has many items, each with a status of its own in the 207: method, path, an item that the store would be asked for. */
export const MANY: readonly (readonly [Method, string, unknown])[] = [
  ['POST', '/device', deviceRequest('e')],
  ['PATCH', '/device', { apiVersion, device: { name: 'd', labels: [] } }],
  ['POST', '/deviceservice', serviceRequest('t')],
  ['PATCH', '/deviceservice', { apiVersion, service: { name: 'svc', labels: [] } }],
  ['POST', '/provisionwatcher', watcherRequest('v')],
  ['PATCH', '/provisionwatcher', { apiVersion, provisionwatcher: { name: 'w', labels: [] } }],
  ['POST', '/deviceprofile', profileRequest('q')],
  ['PUT', '/deviceprofile', profileRequest()],
  ['PATCH', '/deviceprofile/basicinfo', { apiVersion, basicinfo: { name: 'p', model: 'two' } }],
  ['POST', '/deviceprofile/resource', partRequest('resource', { name: 'more', properties })],
  ['PATCH', '/deviceprofile/resource', partRequest('resource', { name: 'humidity', isHidden: true })],
  [
    'POST',
    '/deviceprofile/deviceCommand',
    partRequest('deviceCommand', {
      name: 'more',
      readWrite: 'R',
      resourceOperations: [{ deviceResource: 'humidity' }],
    }),
  ],
  ['PATCH', '/deviceprofile/deviceCommand', partRequest('deviceCommand', { name: 'both', isHidden: true })],
];

/** The rest of what changes something, but for the secret. */
export const SINGLE: readonly Change[] = [
  { method: 'POST', path: '/deviceprofile/uploadfile', ...form(profile('q')) },
  { method: 'PUT', path: '/deviceprofile/uploadfile', ...form(profile()) },
  {
    method: 'PATCH',
    path: '/deviceprofile/name/{name}/tags',
    json: { apiVersion, deviceResources: [{ name: 'humidity', tags: { a: 1 } }] },
  },
];

/** What all parameters of paths may be. */
export const ANY = {
  name: 'p',
  id: '00000000-0000-4000-8000-000000000000',
  manufacturer: 'maker',
  model: 'one',
  profileName: 'p',
  resourceName: 'humidity',
  commandName: 'both',
};
