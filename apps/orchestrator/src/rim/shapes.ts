import type { Shape } from './names.ts';

// Where names stand in the documents of core-data and core-metadata (EdgeX v3 OpenAPI)
const reading = { deviceName: 'name', profileName: 'name' } as const satisfies Shape;
const event = { deviceName: 'name', profileName: 'name', readings: [reading] } as const satisfies Shape;
const device = {
  name: 'name',
  serviceName: 'name',
  profileName: 'name',
  parent: 'name',
} as const satisfies Shape;
const named = { name: 'name' } as const satisfies Shape;
const watcher = {
  name: 'name',
  serviceName: 'name',
  discoveredDevice: { profileName: 'name' },
} as const satisfies Shape;

export const eventShape: Shape = { event, message: 'message' };
export const eventsShape: Shape = { events: [event], message: 'message' };
export const deviceRequests: Shape = [{ device }];
export const profileRequests: Shape = [{ profile: named }];
export const serviceRequests: Shape = [{ service: named }];
const results: Shape = [{ message: 'message' }];

/** Any answer of core-metadata; the fields of one do not occur in another with another meaning. */
const answer: Shape = {
  message: 'message',
  device,
  devices: [device],
  profile: named,
  profiles: [named],
  service: named,
  services: [named],
  provisionWatchers: [watcher],
};

export const answerShape = (value: unknown): Shape => (Array.isArray(value) ? results : answer);
