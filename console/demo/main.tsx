/** Puts the demo together: a publisher and two subscribers, each with a connection of its own, and the page. */

import { signal } from '@preact/signals'
import { render } from 'preact'
import { connect } from '../../client/index.ts'
import { isName } from '../../shared/names.ts'
import { tabName } from './identity.ts'
import { Ledger } from './ledger.ts'
import type { Order } from './orders.ts'
import { Page } from './page.tsx'
import { Publisher } from './publisher.ts'
import { Subscriber } from './subscriber.ts'

/** The page is drawn at most so often, whatever comes. */
const FRAME_MS = 50

const frame = signal(0)
let isDue = false

function changed(): void {
  if (isDue) return
  isDue = true
  setTimeout(() => {
    isDue = false
    frame.value++
  }, FRAME_MS)
}

const tab = await tabName()
/** `?topic=` keeps a demo apart from others. */
const wanted = new URLSearchParams(location.search).get('topic')
const topic = isName(wanted) ? wanted : 'demo'
const ledger = new Ledger()
const publisher = new Publisher(connect<{ topics: Record<string, Order> }>(), topic, ledger, changed)
const fickle = new Subscriber(`one-${tab}`, topic, ledger, changed)
const steady = new Subscriber(`two-${tab}`, topic, ledger, changed)

const page = document.getElementById('page')
if (page !== null) render(<Page model={{ topic, ledger, publisher, fickle, steady }} frame={frame} />, page)
