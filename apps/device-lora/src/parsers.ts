// What reads the bytes that come from outside, for the tools that try it with bad ones.
export { readUplink } from './uplink/event-up.ts';
