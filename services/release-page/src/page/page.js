// Freshens a page that is whole without it: hears of changes, says how long ago things were, copies commands.
'use strict';

const ago = (at) => {
  const seconds = Math.trunc((Date.now() - at) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return 'just now';
  const words = size < 60 ? `${size} s`
    : size < 3600 ? `${Math.trunc(size / 60)} min`
    : size < 172800 ? `${Math.trunc(size / 3600)} h`
    : `${Math.trunc(size / 86400)} d`;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
};

const freshen = (root) => {
  for (const time of root.querySelectorAll('time[data-ago]')) {
    const words = ago(Date.parse(time.dateTime));
    if (time.textContent !== words) time.textContent = words;
  }
  for (const button of root.querySelectorAll('button[data-copy]')) button.hidden = !navigator.clipboard;
};

// What the reader has opened or typed stays, and so does what has not changed: focus, scroll and frames with it.
const kept = { DETAILS: ['open'], INPUT: ['value'], BUTTON: ['hidden'] };

const become = (old, young) => {
  for (const { name } of [...old.attributes]) {
    if (!young.hasAttribute(name) && !(kept[old.nodeName] || []).includes(name)) old.removeAttribute(name);
  }
  for (const { name, value } of young.attributes) {
    if (old.getAttribute(name) !== value && !(kept[old.nodeName] || []).includes(name)) old.setAttribute(name, value);
  }
  let at = old.firstChild;
  for (const next of [...young.childNodes]) {
    if (at && at.nodeType === next.nodeType && at.nodeName === next.nodeName) {
      const here = at;
      at = at.nextSibling;
      if (here.nodeType !== Node.ELEMENT_NODE) {
        if (here.data !== next.data) here.data = next.data;
      } else if (here.nodeName !== 'BUTTON' || here.dataset.copy === undefined) {
        become(here, next);
      }
    } else {
      old.insertBefore(document.importNode(next, true), at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
};

const changed = (html) => {
  const main = document.getElementById('main');
  const young = new DOMParser().parseFromString(html, 'text/html').getElementById('main');
  if (!main || !young) return;
  const news = young.dataset.news;
  if (news && news !== main.dataset.news) document.getElementById('news').textContent = news;
  become(main, young);
  freshen(main);
};

const listen = () => {
  const mark = document.getElementById('live');
  const address = document.getElementById('main').dataset.live;
  if (!address || !window.EventSource) return;
  document.body.classList.add('fresh');
  mark.hidden = false;
  const say = (isOn) => {
    mark.classList.toggle('on', isOn);
    mark.textContent = isOn ? 'live' : 'reconnecting';
  };
  let stream;
  let timer;
  let pause = 1000;
  const close = () => {
    clearTimeout(timer);
    stream?.close();
  };
  const open = () => {
    close();
    if (document.hidden) return; // a browser has six connections to a host, and this one is for who looks
    // The address has the state that is shown, so that only another one is sent.
    stream = new EventSource(document.getElementById('main').dataset.live);
    stream.onopen = () => { say(true); pause = 1000; };
    stream.addEventListener('changed', (event) => changed(event.data));
    stream.onerror = () => {
      stream.close();
      say(false);
      timer = setTimeout(open, pause + Math.random() * 1000);
      pause = Math.min(2 * pause, 60000);
    };
  };
  say(false);
  mark.textContent = 'connecting';
  open();
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => { if (event.persisted) open(); });
};

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]');
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Select it by hand';
  }
  document.getElementById('news').textContent = button.textContent;
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
});

freshen(document);
setInterval(() => freshen(document), 5000);
listen();
