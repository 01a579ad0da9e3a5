export { createBusRequests, type BusRequest, type BusRequests } from './bus-requests.ts';
export * from './lasting-subscription.ts';
