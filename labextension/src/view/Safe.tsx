/**
 * Hosts for content that is not to be trusted.
 */
import {
  removeMath,
  renderLatex,
  renderText,
  replaceMath
} from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { blocksOf } from '../render/markdown';
import { framed } from '../render/mime';
import { patch } from '../render/patch';
import {
  FILE_IMAGE,
  FILE_LINK,
  guardTypesetter,
  REMOTE_IMAGE,
  SafeSanitizer
} from '../render/safe';
import type { FindFile } from '../render/safe';
import { breathe, cancelTurn, inTurn } from '../render/turns';
import { Code } from './Code';
import { useServices } from './services';
import type { IServices } from './services';

type Format = 'markdown' | 'html' | 'latex' | 'text';

interface ISafeProps {
  format: Format;
  source: string;
  find?: FindFile;
}

/** Renders one source; renders again into the same element when the source changes. */
export const Safe = React.memo(function Safe(props: ISafeProps): JSX.Element {
  const services = useServices();
  const host = React.useRef<HTMLDivElement>(null);
  const { format, source, find } = props;
  React.useEffect(() => {
    const element = host.current;
    if (!element) {
      return;
    }
    inTurn(element, () => renderInto(element, format, source, find, services));
    return () => cancelTurn(element);
  }, [format, source, find, services]);
  return (
    <div
      ref={host}
      className={`jp-CISafe jp-CISafe-${format} ${
        format === 'text' ? 'jp-RenderedText' : 'jp-RenderedHTMLCommon'
      }`}
      onClick={event => onClick(event, services)}
    />
  );
});

/** What is being rendered, or was last. */
const latest = new WeakMap<HTMLElement, string>();

/** What a formula begins with, as Lab's typesetter looks for it. */
const FORMULA = /\$|\\[([]|\\begin/;

async function renderInto(
  host: HTMLElement,
  format: Format,
  source: string,
  find: FindFile | undefined,
  services: IServices
): Promise<void> {
  const { rendermime, trans, translator } = services;
  const sanitizer = new SafeSanitizer(rendermime.sanitizer, find, from =>
    trans.__('Image from %1 not loaded. Load it', from)
  );
  const { markdownParser } = rendermime;
  const latexTypesetter =
    rendermime.latexTypesetter && guardTypesetter(rendermime.latexTypesetter);
  latest.set(host, source);
  if (format === 'text') {
    host.replaceChildren();
    await renderText({ host, source, sanitizer, translator });
    return;
  }
  if (format === 'latex') {
    await renderLatex({ host, source, shouldTypeset: true, latexTypesetter });
    return;
  }
  let html = source;
  if (format === 'markdown') {
    const { text, math } = removeMath(source);
    html = markdownParser
      ? replaceMath(await markdownParser.render(text), math)
      : escape(source);
    await breathe();
  }
  const clean = await sanitizer.clean(html);
  await breathe();
  if (latest.get(host) !== source) {
    return;
  }
  await patch(host, clean);
  if (FORMULA.test(source)) {
    await latexTypesetter?.typeset(host);
  }
  for (const image of host.querySelectorAll(`img[${FILE_IMAGE}]`)) {
    const id = image.getAttribute(FILE_IMAGE)!;
    services.model.files.imageUrl(id).then(
      url => image.setAttribute('src', url),
      () => image.replaceWith(image.getAttribute('alt') ?? '')
    );
  }
}

function escape(text: string): string {
  const element = document.createElement('pre');
  element.textContent = text;
  return element.outerHTML;
}

function onClick(event: React.MouseEvent, services: IServices): void {
  const target = event.target as Element;
  const link = target.closest(`[${FILE_LINK}], [${REMOTE_IMAGE}]`);
  if (!link) {
    return;
  }
  event.preventDefault();
  const file = link.getAttribute(FILE_LINK);
  if (file !== null) {
    void services.model.files.download(file);
    return;
  }
  const image = document.createElement('img');
  image.referrerPolicy = 'no-referrer';
  image.src = link.getAttribute(REMOTE_IMAGE)!;
  image.alt = '';
  link.replaceWith(image);
}

/** Markdown that may still be growing: only its last block is rendered anew. */
export function Markdown(props: {
  source: string;
  find?: FindFile;
}): JSX.Element {
  const blocks = blocksOf(props.source);
  return (
    <>
      {blocks.map(({ source, language }, at) =>
        language === null ? (
          <Safe
            key={at}
            format="markdown"
            source={source}
            find={source.includes('sandbox:') ? props.find : undefined}
          />
        ) : (
          <Code key={at} code={source} language={language} />
        )
      )}
    </>
  );
}

/** Pixels of a frame's height, at the least and at the most; what is longer is scrolled. */
const FRAME = { least: 24, most: 420 };

/**
 * HTML with a style sheet of its own, in a frame that is as high as it is.
 *
 * No script runs in it: the sandbox lets none, and neither does the page's own policy. Its origin
 * is kept for one reason, that its height can be read from here.
 */
export function Frame(props: { source: string; title: string }): JSX.Element {
  const frame = React.useRef<HTMLIFrameElement>(null);
  const page = React.useMemo(() => framed(props.source), [props.source]);
  const fit = React.useCallback(() => {
    const element = frame.current;
    const root = element?.contentDocument?.documentElement;
    if (element && root) {
      element.style.height = '0';
      const bar = element.clientHeight - root.clientHeight;
      const height = Number(root.scrollHeight) + Math.max(0, bar);
      const { least, most } = FRAME;
      element.style.height = `${Math.min(Math.max(height || most, least), most)}px`;
    }
  }, []);
  React.useEffect(() => {
    let width = 0;
    const resized = new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width !== width) {
        width = contentRect.width;
        fit();
      }
    });
    resized.observe(frame.current!);
    return () => resized.disconnect();
  }, [fit]);
  return (
    <iframe
      ref={frame}
      className="jp-CIFrame"
      sandbox="allow-same-origin"
      srcDoc={page}
      title={props.title}
      onLoad={fit}
    />
  );
}

/** A chart or a tree, drawn by the renderer that the application has for its type. */
export function Rendered(props: {
  mime: string;
  value: unknown;
  metadata: Readonly<Record<string, unknown>>;
}): JSX.Element {
  const { rendermime } = useServices();
  const host = React.useRef<HTMLDivElement>(null);
  const { mime, value, metadata } = props;
  // A layout effect, because its clean-up runs while the widget is still in the page.
  React.useLayoutEffect(() => {
    const parent = host.current;
    if (!parent) {
      return;
    }
    const sanitizer = new SafeSanitizer(rendermime.sanitizer);
    const renderer = rendermime.clone({ sanitizer }).createRenderer(mime);
    Widget.attach(renderer, parent);
    const model = rendermime.createModel({
      data: { [mime]: value } as any,
      metadata: metadata as any,
      trusted: false
    });
    renderer.renderModel(model).catch(reason => {
      parent.textContent = String(reason);
    });
    return () => {
      if (renderer.node.isConnected) {
        renderer.dispose();
      }
    };
  }, [rendermime, mime, value, metadata]);
  return <div ref={host} className="jp-CIRendered" />;
}
