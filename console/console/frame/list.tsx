/**
 * A list of any length: the hub searches and sorts, the page has the rows that are seen and a few around them. Search and
 * order stand in the address. Looked at again every two seconds.
 */

import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import type { ListPage, ListQuery } from '../../../shared/console/protocol.ts'
import type { Session } from '../hub/session.ts'
import { LOOK_MS, type Look, useAnswers } from '../hub/useLook.ts'
import { count, moment } from '../hub/words.ts'
import { ask, route } from './route.ts'

const ROW_PX = 40
/** Rows that are asked for at a time, some of them before those that are seen. */
const ROWS = 100
const BEFORE = 30

export interface Column<Row> {
  readonly sort: string
  readonly title: string
  readonly show: (row: Row) => ComponentChildren
  /** Not shown where there is little room. */
  readonly isWide?: boolean
}

interface ListProps<Row> {
  readonly session: Session
  readonly call: 'topics' | 'queues' | 'clients'
  readonly nameOf: (row: Row) => string
  /** Where names are not of one row alone. */
  readonly keyOf?: (row: Row) => string
  /** What else is asked for. */
  readonly filter?: Readonly<Record<string, string>>
  readonly link: (row: Row) => string
  readonly columns: readonly Column<Row>[]
  readonly empty: ComponentChildren
}

const NO_FILTER = {}

export function List<Row>(props: ListProps<Row>) {
  const { session, call, nameOf, keyOf = nameOf, link, columns, empty, filter = NO_FILTER } = props
  const { query } = route.value
  const search = query.get('search') ?? ''
  const sort = query.get('sort') ?? columns[0]?.sort ?? ''
  const descending = query.get('order') === 'down'
  const [first, setFirst] = useState(0)
  const box = useRef<HTMLDivElement>(null)
  const offset = Math.max(0, Math.floor((first - BEFORE) / 10) * 10)
  const asked = { ...filter, search, sort, descending, offset, limit: ROWS }
  const { value, problem } = useRows<Row>(session, call, asked)
  const { page, shownFrom = 0 } = value ?? {}

  const order = (by: string): void => {
    const down = by === sort ? !descending : by !== columns[0]?.sort
    ask({ sort: by, order: down ? 'down' : 'up' })
    box.current?.scrollTo(0, 0)
  }
  return (
    <>
      <div class="tools">
        <label class="search">
          <span>Search</span>
          <input
            type="search"
            value={search}
            placeholder={`a part of the name  ( / )`}
            onInput={({ currentTarget }) => ask({ search: currentTarget.value })}
          />
        </label>
        <p class="soft" role="status" data-test="matched">
          {page !== undefined && told(page, search, call, session.now())}
        </p>
      </div>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
      {page !== undefined && page.total === 0 && page.at > 0 ? (
        empty
      ) : page !== undefined && page.matched === 0 && page.at > 0 && search !== '' ? (
        <p class="panel soft">
          No {call.slice(0, -1)} has “{search}” in its name.
          {call === 'queues' && ' To find a job, open its queue: its page looks for ids and keys.'}
        </p>
      ) : (
        <div
          class="list"
          ref={box}
          onScroll={({ currentTarget }) => setFirst(Math.floor(currentTarget.scrollTop / ROW_PX))}
        >
          <table aria-rowcount={page?.matched ?? 0}>
            <thead>
              <tr>
                {columns.map((column) => (
                  <th
                    key={column.sort}
                    scope="col"
                    class={column.isWide ? 'wide' : ''}
                    aria-sort={column.sort === sort ? (descending ? 'descending' : 'ascending') : undefined}
                  >
                    <button type="button" class="quiet" onClick={() => order(column.sort)}>
                      {column.title}
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              <Space rows={shownFrom} columns={columns.length} />
              {page?.rows.map((row, i) => (
                <tr key={keyOf(row)} aria-rowindex={shownFrom + i + 1}>
                  {columns.map((column, at) => (
                    <td key={column.sort} class={column.isWide ? 'wide' : ''}>
                      {at === 0 ? <a href={link(row)}>{nameOf(row)}</a> : column.show(row)}
                    </td>
                  ))}
                </tr>
              ))}
              <Space rows={(page?.matched ?? 0) - shownFrom - (page?.rows.length ?? 0)} columns={columns.length} />
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}

function told({ at, total, matched }: ListPage<unknown>, search: string, what: string, now: number): string {
  if (at === 0) return 'the store is being looked at'
  const some = search === '' ? count(total) : `${count(matched)} of ${count(total)}`
  const all = `${some} ${total === 1 ? what.slice(0, -1) : what}`
  // A look at many takes its time.
  return now - at > 3 * LOOK_MS ? `${all}, as of ${moment(at)}` : all
}

function Space({ rows, columns }: { readonly rows: number; readonly columns: number }) {
  if (rows <= 0) return null
  return (
    <tr class="space">
      <td colSpan={columns} style={{ height: `${rows * ROW_PX}px` }} />
    </tr>
  )
}

interface Rows<Row> {
  readonly page: ListPage<Row>
  readonly shownFrom: number
}

function useRows<Row>(session: Session, call: string, query: Required<ListQuery>): Look<Rows<Row>> {
  const { descending, offset } = query
  return useAnswers<Rows<Row>>(session, JSON.stringify([call, query]), LOOK_MS, async () => {
    const page = await session.call<ListPage<Row>>(call, query)
    return { page, shownFrom: descending || offset < page.matched ? offset : 0 }
  })
}
