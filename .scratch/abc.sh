cd /tmp/wt/control/dist/bench
for i in $(seq 1 $1); do for p in v-off v-on; do node $p.bundle.js default | node -e "let s='';process.stdin.on('data',d=>s+=d).on('end',()=>{const r=JSON.parse(s);const m=a=>[].concat(a).sort((x,y)=>y-x)[0];console.log('$p',(1e9/m(r.replies)).toFixed(0))})"; done; done
