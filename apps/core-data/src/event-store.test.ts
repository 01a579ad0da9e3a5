import { onEachStore } from '@antirio/testing';
import { EVENT_STORE_CASES, openStoreOf } from './testing/event-store-compliance.ts';

onEachStore(EVENT_STORE_CASES, openStoreOf);
