/** The head of a page about one thing: the way back, its name, and what went wrong with looking at it. */

import { linkTo } from './route.ts'

interface HeadProps {
  readonly of: { readonly page: 'topics' | 'clients' | 'queues'; readonly title: string }
  readonly name: string
  readonly problem: string
}

export function Head({ of: { page, title }, name, problem }: HeadProps) {
  return (
    <>
      <p class="trail">
        <a href={linkTo(page)}>{title}</a>
      </p>
      <h1>{name}</h1>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </>
  )
}
