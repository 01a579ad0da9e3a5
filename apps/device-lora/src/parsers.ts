// What reads the bytes that come from outside, for the tools that try it with bad ones.
export { readEventUp } from './uplink/event-up.ts';
export { readChirpStackEvent } from './chirpstack/event.ts';
