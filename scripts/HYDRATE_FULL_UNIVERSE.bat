@echo off
call "%~dp0launch.bat" hydrate_full_universe %*
exit /b %ERRORLEVEL%
