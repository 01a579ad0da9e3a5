import type { SystemEvent } from './system-event.ts';

export const BASE_TOPIC = 'edgex';

/** What core-data stores from: events of device services. */
export const DEVICE_EVENTS_FILTER = `${BASE_TOPIC}/events/device/#`;
/** What core-metadata tells of devices. */
export const DEVICE_SYSTEM_EVENTS_FILTER = `${BASE_TOPIC}/system-events/core-metadata/device/#`;

/** What core-metadata tells of everything that it keeps. */
export const SYSTEM_EVENTS_FILTER = `${BASE_TOPIC}/system-events/core-metadata/#`;

const BREAKS_TOPIC = new Set(['/', '+', '#', '%']);

const escaped = (c: string): string => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** A name as a topic level: as it is, unless it has characters that would break the topic. */
export function topicLevel(text: string): string {
  let level = '';
  for (const c of text) level += BREAKS_TOPIC.has(c) || c < ' ' ? escaped(c) : c;
  return level;
}

/** Whether a topic level names this; EdgeX may escape more characters than we do (`EnableNameFieldEscape`). */
export function levelNames(level: string, text: string): boolean {
  if (level === text) return true;
  try {
    return decodeURIComponent(level) === text;
  } catch {
    return false;
  }
}

function join(...levels: readonly string[]): string {
  return [BASE_TOPIC, ...levels].join('/');
}

const names = (...texts: readonly string[]): string => texts.map(topicLevel).join('/');

export interface EventAddress {
  readonly serviceName: string;
  readonly profileName: string;
  readonly deviceName: string;
  readonly sourceName: string;
}

/** Where a device service publishes an event. */
export function deviceEventTopic(at: EventAddress): string {
  return join('events/device', names(at.serviceName, at.profileName, at.deviceName, at.sourceName));
}

/** Where core-data publishes an event that came by HTTP. */
export function coreEventTopic(at: EventAddress): string {
  return join('events/core', names(at.serviceName, at.profileName, at.deviceName, at.sourceName));
}

export function systemEventTopic(event: SystemEvent, profileName: string): string {
  const head = join('system-events', event.source, event.type, event.action, topicLevel(event.owner));
  return profileName === '' ? head : `${head}/${topicLevel(profileName)}`;
}

/** Where core-metadata asks a device service whether a device is right. */
export function validateDeviceTopic(serviceName: string): string {
  return join(topicLevel(serviceName), 'validate/device');
}

/** Where a service answers a request of the bus. */
export function responseTopic(serviceName: string, requestID: string): string {
  return join('response', names(serviceName, requestID));
}

export function responseFilter(serviceName: string): string {
  return join('response', topicLevel(serviceName), '#');
}

/** Commands as a client asks core-command for them: `<device>/<command>/<get|set>` follows. */
export const COMMAND_REQUEST_FILTER = `${BASE_TOPIC}/core/command/request/#`;
/** `all` or a device name follows. */
export const COMMAND_QUERY_FILTER = `${BASE_TOPIC}/core/commandquery/request/#`;

/** Where core-command passes a command on to a device service. */
export function deviceCommandTopic(at: {
  readonly serviceName: string;
  readonly deviceName: string;
  readonly commandName: string;
  readonly method: 'get' | 'set';
}): string {
  return join('device/command/request', names(at.serviceName, at.deviceName, at.commandName), at.method);
}

/** What a device service subscribes to for its commands. */
export function deviceCommandFilter(serviceName: string): string {
  return join('device/command/request', topicLevel(serviceName), '#');
}
