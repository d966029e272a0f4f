@echo off
call "%~dp0launch.bat" test %*
exit /b %ERRORLEVEL%
