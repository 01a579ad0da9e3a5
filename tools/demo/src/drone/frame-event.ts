import {
  addEventRequestToJson,
  deviceProfile,
  newAddEventRequest,
  stringifyJson,
  type Reading,
} from '@antirio/edgex-contracts';
import { millisToOrigin } from '@antirio/kernel';
import { featuresOf, type Features } from './features.ts';
import { eventIdOf, type Frame } from './frame.ts';

const SOURCE = 'frame';

const RESOURCES = [
  ['Sequence', 'Uint32', ''],
  ['Brightness', 'Uint16', '1/1000'],
  ['Contrast', 'Uint16', '1/1000'],
  ['Sharpness', 'Uint32', '1/1000'],
  ['TargetX', 'Uint16', 'px'],
  ['TargetY', 'Uint16', 'px'],
  ['Thumbnail', 'String', ''],
  ['Digest', 'String', ''],
] as const;

export const droneProfile = deviceProfile.parse({
  name: 'drone-camera',
  description: 'what is kept of the frames of a drone’s camera',
  labels: ['drone'],
  deviceResources: RESOURCES.map(([name, valueType, units]) => ({
    name,
    properties: { valueType, readWrite: 'R', ...(units === '' ? {} : { units }) },
  })),
  deviceCommands: [
    {
      name: SOURCE,
      readWrite: 'R',
      resourceOperations: RESOURCES.map(([deviceResource]) => ({ deviceResource })),
    },
  ],
});

/** The readings of an event by resource. */
export function valuesOf(sequence: number, features: Features): Readonly<Record<string, string>> {
  const { brightness, contrast, sharpness, targetX, targetY, thumbnail, digest } = features;
  return {
    Sequence: String(sequence),
    Brightness: String(brightness),
    Contrast: String(contrast),
    Sharpness: String(sharpness),
    TargetX: String(targetX),
    TargetY: String(targetY),
    Thumbnail: thumbnail,
    Digest: digest,
  };
}

/** A request to core-data. */
export interface FrameEvent {
  readonly path: string;
  readonly body: string;
}

/** What is sent on of a frame: the same event, byte for byte, whichever edge makes it. */
export function eventOf(serviceName: string, drone: string, frame: Frame): FrameEvent {
  const { flight, sequence, capturedAt } = frame;
  const origin = millisToOrigin(capturedAt);
  const profileName = droneProfile.name;
  const values = valuesOf(sequence, featuresOf(frame.picture));
  const readings = RESOURCES.map(([resourceName, valueType]): Reading => ({
    ...{ origin, deviceName: drone, profileName, resourceName, valueType },
    kind: 'simple',
    value: values[resourceName] ?? '',
  }));
  const request = newAddEventRequest({
    id: eventIdOf(drone, flight, sequence),
    deviceName: drone,
    profileName,
    sourceName: SOURCE,
    origin,
    readings,
    tags: { flight, sequence },
  });
  const path = [serviceName, profileName, drone, SOURCE].map(encodeURIComponent).join('/');
  return { path: `/api/v3/event/${path}`, body: stringifyJson(addEventRequestToJson(request)) };
}
